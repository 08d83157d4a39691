package main

import (
	"context"
	"os/signal"
	"syscall"

	"serveflow"
	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
)

type runCmd struct {
	configFlags
}

// Help is the text below the flags.
func (runCmd) Help() string {
	return `Listens on a Unix socket for taps in Zeek and Suricata, labels their flows, writes
the labels to the label log and sends them back.

SIGTERM drains and stops. SIGHUP reopens the logs, rereads the configuration and serves
its bundle if it is valid; flows in progress finish with the bundle they began with.
Other settings need a restart.`
}

func (r runCmd) Run(ctx context.Context) error {
	signals := sidecar.TakeSignals()
	defer signals.Release()
	// The reader of the log may go away, as journald does in a restart.
	signal.Ignore(syscall.SIGPIPE)
	var c config.Config
	var b *bundle.Bundle
	loaded, err := signals.Until(func() (err error) {
		c, b, err = r.load()
		return err
	})
	if err != nil || !loaded {
		return err
	}
	log := openLog(c.Log)
	defer log.Close()
	return closing(b, sidecar.Serve(ctx, signals, sidecar.Options{
		Config: c, Bundle: b, Load: r.load, Version: serveflow.Version(), Log: log.Logger, LogDropped: log.Dropped,
	}))
}
