package main

import (
	"context"

	"serveflow/sidecar"
)

type runCmd struct {
	configFlags
}

// Help is the text below the flags.
func (runCmd) Help() string {
	return `Listens on a Unix socket for taps in Zeek and Suricata, labels the flows they
tell of, writes the labels to the label log and sends them back.

SIGTERM drains and ends; SIGHUP opens the logs anew.`
}

func (r runCmd) Run(ctx context.Context) error {
	c, b, err := r.load()
	if err != nil {
		return err
	}
	return closing(b, sidecar.Serve(ctx, sidecar.Options{
		Config: c, Bundle: b, Version: version, Log: logger(c.Log),
	}))
}
