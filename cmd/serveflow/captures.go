package main

import (
	"errors"
	"fmt"
	"os"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
)

// truthFlags name captures and the source of their flows' labels.
type truthFlags struct {
	Manifest string `required:"" type:"existingfile" placeholder:"CSV" help:"CSV file that lists captures, with columns file, split and optionally the label."`
	Label    string `required:"" xor:"truth" placeholder:"COLUMN" help:"Column of the manifest that holds the label of all flows of a capture. This or --labels."`
	Labels   string `required:"" xor:"truth" type:"existingfile" placeholder:"TOML" help:"File with labels of single flows: rules on Zeek's logs, or lists."`
}

// list reads the captures of these splits (all if there are none) and the labels of
// single flows, nil if the manifest has the labels.
func (f truthFlags) list(splits []string) ([]dataset.Capture, *groundtruth.Labels, error) {
	list, err := dataset.Read(f.Manifest, f.Label, splits)
	if err != nil || f.Labels == "" {
		return list, nil, err
	}
	known, err := groundtruth.Open(f.Labels)
	if err != nil {
		return nil, nil, err
	}
	for _, trouble := range known.Read.Trouble {
		fmt.Fprintln(os.Stderr, trouble)
	}
	for i := range list {
		list[i].Flows = known
	}
	return list, known, nil
}

// captureList names captures to replay, labelled or not.
type captureList struct {
	Captures []string `arg:"" name:"capture" optional:"" type:"existingfile" help:"Captures: pcap or pcapng, also .gz or .zst."`
	Manifest string   `and:"manifest" type:"existingfile" placeholder:"CSV" help:"Read the captures of this manifest, and compare with its labels."`
	Label    string   `and:"manifest" placeholder:"COLUMN" help:"Column of the manifest that holds the label."`
	Split    []string `placeholder:"SPLIT" help:"Only captures of these splits of the manifest."`
	Every    int      `default:"1" placeholder:"N" help:"Only every Nth capture of the manifest."`
}

// validate checks the flags of a command that replays captures.
func (l captureList) validate(what string) error {
	switch {
	case l.Manifest == "" && len(l.Captures) == 0:
		return fmt.Errorf("nothing to %s: name captures, or a --manifest with its --label", what)
	case l.Manifest != "" && len(l.Captures) > 0:
		return errors.New("name captures or a --manifest, not both")
	case l.Manifest == "" && (len(l.Split) > 0 || l.Every != 1):
		return errors.New("--split and --every need a --manifest")
	case l.Every < 1:
		return fmt.Errorf("--every %d: at least 1", l.Every)
	}
	return nil
}

// list is the captures to replay.
func (l captureList) list() (list []dataset.Capture, err error) {
	for _, path := range l.Captures {
		list = append(list, dataset.Capture{File: path, Path: path})
	}
	if l.Manifest == "" {
		return list, nil
	}
	all, err := dataset.Read(l.Manifest, l.Label, l.Split)
	for i := 0; i < len(all); i += l.Every {
		list = append(list, all[i])
	}
	return list, err
}

// unreadError has a command that did what it could with the others fail, if captures
// could not be read.
func unreadError(unread, all int) error {
	if unread == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d captures could not be read", unread, all)
}
