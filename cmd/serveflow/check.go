package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"serveflow/sidecar"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/operate/terminal"
)

type checkCmd struct {
	configFlags
}

// Help is the text below the flags.
func (checkCmd) Help() string {
	return `Reads the configuration and loads the bundle as "run" would: it checks digests, the
manifest, the models and their golden rows, also of what the bundle carries for taps
that may send no payload. Nothing is started.`
}

func (r checkCmd) Run() error {
	c, b, err := r.load()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "bundle\t%s: %s\n", b.Name(), terminal.Clean(b.Manifest.Task))
	fmt.Fprintf(t, "labels\t%d\n", len(b.Manifest.Labels))
	if m := b.Manifest; len(m.Alarms) > 0 {
		fmt.Fprintf(t, "alarms\t%s\n", strings.Join(m.Alarms, ", "))
	}
	if background := b.Manifest.Background; background != "" {
		fmt.Fprintf(t, "background\t%s\n", background)
	}
	stages(t, "with headers", b.Packet)
	stages(t, "without headers", b.Meta)
	if b.Manifest.HasSubstitute() {
		c.Privacy.Payload = false
		substitute, err := openBundle(c.Bundle, c)
		if err != nil {
			return closing(b, err)
		}
		fmt.Fprintf(t, "without payload\t%s: %s\n", substitute.Name(), terminal.Clean(substitute.Manifest.Task))
		if err := substitute.Close(); err != nil {
			return closing(b, err)
		}
	}
	fmt.Fprintf(t, "socket\t%s, mode %#o\n", terminal.Clean(c.Listen.Socket), c.Listen.Mode)
	fmt.Fprintf(t, "label log\t%s\n", terminal.Clean(c.Labels.Path))
	m := sidecar.DivideMemory(&c, b)
	m.Print(t)
	fmt.Fprintf(t, "metrics\t%s\n", cmp.Or(c.Telemetry.Listen, "none"))
	return closing(b, t.Flush())
}

func stages(w io.Writer, flows string, c *cascade.Cascade) {
	if c == nil {
		fmt.Fprintf(w, "flows %s\tare not served by this bundle\n", flows)
		return
	}
	for _, s := range c.Stages {
		fmt.Fprintf(w, "flows %s\tstage %s: packets %d, columns %d\n", flows, s.Name, s.Packets, s.Plan.Width())
	}
}
