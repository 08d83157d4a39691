package main

import (
	"context"
	"os/signal"
	"syscall"

	"serveflow"
	"serveflow/sidecar"
)

type runCmd struct {
	configFlags
}

// Help is the text below the flags.
func (runCmd) Help() string {
	return `Listens on a Unix socket for taps in Zeek and Suricata, labels their flows, writes
the labels to the label log and sends them back.

SIGTERM drains and stops. SIGHUP reopens the logs, rereads the configuration and serves
its bundle, and that of the shadow, if they are valid; flows in progress finish with the
bundle they began with. Other settings need a restart.`
}

func (r runCmd) Run(ctx context.Context) error {
	signals := sidecar.TakeSignals()
	defer signals.Release()
	// The reader of the log may go away, as journald does in a restart.
	signal.Ignore(syscall.SIGPIPE)
	var l sidecar.Loaded
	loaded, err := signals.Until(func() (err error) {
		l, err = r.load()
		return err
	})
	if err != nil || !loaded {
		return err
	}
	log := openLog(l.Config.Log)
	defer log.Close()
	return closing(sidecar.Serve(ctx, signals, sidecar.Options{
		Config: l.Config, Bundle: l.Bundle, Shadow: l.Shadow, Load: r.load,
		Version: serveflow.Version(), Log: log.Logger, LogDropped: log.Dropped,
	}), l.Bundle, l.Shadow)
}
