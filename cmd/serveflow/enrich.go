package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"serveflow/sidecar/operate/terminal"
	"serveflow/sidecar/output/enrich"
)

type enrichCmd struct {
	Labels string `required:"" type:"existingfile" placeholder:"FILE" help:"Label log (labels.jsonl)."`
	Output string `short:"o" placeholder:"FILE" help:"Output file. Default: standard output."`
	Log    string `arg:"" type:"existingfile" help:"conn.log (TSV or JSON) or eve.json, also .gz or .zst."`
}

// Help is the text below the flags.
func (enrichCmd) Help() string {
	return `Flows are joined by Zeek's uid or Suricata's flow_id, else by Community ID and time.
The format of the log is detected; rows without a label are copied unchanged.`
}

func (e enrichCmd) Run() (err error) {
	in, err := os.Open(e.Log)
	if err != nil {
		return err
	}
	defer in.Close()
	labels, err := e.load()
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if e.Output != "" {
		f, err := e.create()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	stats, err := labels.Enrich(in, out)
	fmt.Fprintln(os.Stderr, stats) // also after an error
	if err != nil {
		return fmt.Errorf("%s: %w", e.Log, err)
	}
	return nil
}

// load reads the label log.
func (e enrichCmd) load() (*enrich.Labels, error) {
	f, err := os.Open(e.Labels)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	labels, err := enrich.Load(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Labels, err)
	}
	if n := labels.Broken(); n > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d lines are no decisions and were passed over\n", terminal.Clean(e.Labels), n)
	}
	return labels, nil
}

// create makes the output file, which must not be an input.
func (e enrichCmd) create() (*os.File, error) {
	if to, err := os.Stat(e.Output); err == nil {
		for _, path := range []string{e.Log, e.Labels} {
			if from, err := os.Stat(path); err == nil && os.SameFile(from, to) {
				return nil, fmt.Errorf("%s is the input and would be overwritten: name another output", e.Output)
			}
		}
	}
	return os.Create(e.Output)
}
