package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"serveflow/sidecar/enrich"
)

type enrichCmd struct {
	Labels string `required:"" type:"existingfile" placeholder:"FILE" help:"Label log (labels.jsonl)."`
	Output string `short:"o" placeholder:"FILE" help:"Where to write; standard output without."`
	Log    string `arg:"" type:"existingfile" help:"conn.log (TSV or JSON) or eve.json, also .gz or .zst."`
}

// Help is the text below the flags.
func (enrichCmd) Help() string {
	return `Flows are found by Zeek's uid or Suricata's flow_id, else by Community ID and
time. The log's format is detected; what is not joined stays as it is.`
}

func (e enrichCmd) Run() (err error) {
	labels, err := os.Open(e.Labels)
	if err != nil {
		return err
	}
	defer labels.Close()
	in, err := os.Open(e.Log)
	if err != nil {
		return err
	}
	defer in.Close()
	out := io.Writer(os.Stdout)
	if e.Output != "" {
		f, err := os.Create(e.Output)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	stats, err := enrich.Run(labels, in, out)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, stats)
	return nil
}
