// Package dataset reads manifests: CSV files that list labelled captures.
//
// The first line names the columns. file is the path of a capture, absolute or
// relative to the manifest's folder; split is train, calibration or test. A column
// named by the caller holds the label of all flows of the capture, unless package
// groundtruth has labels of single flows. The optional column source names the origin
// of a capture: captures of one source are alike, so a fold has all of them or none.
// Other columns are passed on unchanged.
package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"serveflow/models/groundtruth"
	"serveflow/sidecar/features/packet"
)

// Capture is one line of a manifest.
type Capture struct {
	File  string // as the manifest writes it
	Path  string // where it is
	Label string // of all its flows, unless there are Flows
	Split string
	// Source is whose capture it is; "": the manifest does not say, and no other
	// capture is like it.
	Source string
	// Fields are all columns of the line, by name.
	Fields map[string]string
	// Flows knows the labels of single flows; nil: all have Label.
	Flows *groundtruth.Labels
}

// Truth returns the label of a flow of the capture, which starts at a time in µs
// since the epoch.
func (c *Capture) Truth(t packet.Tuple, start int64) groundtruth.Answer {
	if c.Flows == nil {
		return groundtruth.Answer{Label: c.Label}
	}
	return c.Flows.Of(c.Path, t, start)
}

// Error says what is wrong with a manifest.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("manifest %s: %v", e.Path, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Read returns the captures of the given splits in the manifest's order, all of
// them when no split is given. label names the column of the labels; "" leaves
// captures without. A manifest that is wrong is an *Error that names the line.
func Read(path, label string, splits []string) ([]Capture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := read(f, filepath.Dir(path), label, splits)
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return list, nil
}

func read(f io.Reader, dir, label string, splits []string) ([]Capture, error) {
	r := csv.NewReader(f)
	r.ReuseRecord = true
	header, err := r.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty: its first line names the columns")
	}
	if err != nil {
		return nil, err
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // as spreadsheets write it
	names := []string{"file", "split"}
	if label != "" {
		names = append(names, label)
	}
	var at [3]int
	for i, name := range names {
		if at[i] = slices.Index(header, name); at[i] < 0 {
			return nil, fmt.Errorf("no column %q: there are %s", name, strings.Join(header, ", "))
		}
	}
	source := slices.Index(header, "source")
	var captures []Capture
	seen := map[string]bool{}
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		c := Capture{File: record[at[0]], Split: record[at[1]], Fields: map[string]string{}}
		for i, name := range header {
			c.Fields[name] = record[i]
		}
		if label != "" {
			c.Label = record[at[2]]
		}
		if source >= 0 {
			c.Source = record[source]
		}
		line, _ := r.FieldPos(0)
		switch {
		case c.File == "" || c.Split == "" || c.Label == "" && label != "":
			return nil, fmt.Errorf("line %d: %s must not be empty", line, strings.Join(names, ", "))
		case seen[c.File]:
			return nil, fmt.Errorf("line %d: %s stands there twice", line, c.File)
		}
		seen[c.File] = true
		if len(splits) == 0 || slices.Contains(splits, c.Split) {
			c.Path = resolve(dir, c.File)
			captures = append(captures, c)
		}
	}
	if len(captures) == 0 {
		return nil, errors.New("no capture" + ofSplits(splits))
	}
	return captures, nil
}

// resolve returns where a path of a manifest in folder dir leads.
func resolve(dir, file string) string {
	if file = filepath.FromSlash(file); filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

func ofSplits(splits []string) string {
	if len(splits) == 0 {
		return ""
	}
	return " of split " + strings.Join(splits, ", ")
}
