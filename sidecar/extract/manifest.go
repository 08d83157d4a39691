package extract

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// capture is one line of the manifest.
type capture struct {
	file  string // as the manifest writes it
	path  string
	label string
	split string
}

// readManifest returns the captures of the given splits, all of them when there
// are none given.
func readManifest(path, label string, splits []string) ([]capture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
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
	var at [3]int
	for i, name := range []string{"file", "split", label} {
		if at[i] = slices.Index(header, name); at[i] < 0 {
			return nil, fmt.Errorf("no column %q: there are %s", name, strings.Join(header, ", "))
		}
	}
	var captures []capture
	seen := map[string]bool{}
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		c := capture{file: record[at[0]], split: record[at[1]], label: record[at[2]]}
		line, _ := r.FieldPos(0)
		switch {
		case c.file == "" || c.split == "" || c.label == "":
			return nil, fmt.Errorf("line %d: file, split and %s must not be empty", line, label)
		case seen[c.file]:
			return nil, fmt.Errorf("line %d: %s stands there twice", line, c.file)
		}
		seen[c.file] = true
		if len(splits) == 0 || slices.Contains(splits, c.split) {
			c.path = filepath.Join(filepath.Dir(path), filepath.FromSlash(c.file))
			captures = append(captures, c)
		}
	}
	if len(captures) == 0 {
		return nil, errors.New("no capture" + ofSplits(splits))
	}
	return captures, nil
}

func ofSplits(splits []string) string {
	if len(splits) == 0 {
		return ""
	}
	return " of split " + strings.Join(splits, ", ")
}
