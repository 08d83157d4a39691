package main

import (
	"errors"
	"fmt"

	"serveflow/sidecar/captures"
)

// captureList names captures to play, labelled or not.
type captureList struct {
	Captures []string `arg:"" name:"capture" optional:"" type:"existingfile" help:"Captures: pcap or pcapng, also .gz or .zst."`
	Manifest string   `and:"manifest" type:"existingfile" placeholder:"CSV" help:"Take the captures from this manifest, and compare with its labels."`
	Label    string   `and:"manifest" placeholder:"COLUMN" help:"Column of the manifest that holds the label."`
	Split    []string `placeholder:"SPLIT" help:"Only captures of these splits of the manifest."`
	Every    int      `default:"1" placeholder:"N" help:"Only every Nth capture of the manifest."`
}

// validate says what is wrong with the command line of a command that is to do
// something with the captures.
func (l captureList) validate(what string) error {
	switch {
	case l.Manifest == "" && len(l.Captures) == 0:
		return fmt.Errorf("nothing to %s: name captures, or a --manifest with its --label", what)
	case l.Manifest != "" && len(l.Captures) > 0:
		return errors.New("name captures or a --manifest, not both")
	case l.Manifest == "" && (len(l.Split) > 0 || l.Every != 1):
		return errors.New("--split and --every choose from a --manifest")
	case l.Every < 1:
		return fmt.Errorf("--every %d: at least 1", l.Every)
	}
	return nil
}

// list is the captures to play.
func (l captureList) list() (list []captures.Capture, err error) {
	for _, path := range l.Captures {
		list = append(list, captures.Capture{File: path, Path: path})
	}
	if l.Manifest == "" {
		return list, nil
	}
	all, err := captures.Read(l.Manifest, l.Label, l.Split)
	for i := 0; i < len(all); i += l.Every {
		list = append(list, all[i])
	}
	return list, err
}
