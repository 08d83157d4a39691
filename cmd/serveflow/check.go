package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/terminal"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/output/kafka"
)

type checkCmd struct {
	configFlags
}

// Help is the text below the flags.
func (checkCmd) Help() string {
	return `Reads the configuration and loads the bundle as "run" would: it checks digests, the
manifest, the models and their golden rows, also of what the bundle carries for taps
that may send no payload. With kafka.brokers it connects to a broker and looks for the
topics, and it waits for an inference server of each remote stage; "run" does neither. Nothing is started.`
}

func (r checkCmd) Run(ctx context.Context) error {
	l, err := r.load()
	if err != nil {
		return err
	}
	return closing(summary(ctx, l), l.Bundle, l.Shadow)
}

// summary prints what "run" would serve and with what settings, and asks other servers.
func summary(ctx context.Context, l sidecar.Loaded) error {
	c, b := l.Config, l.Bundle
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
		without := c
		without.Privacy.Payload = false
		substitute, err := openBundle(c.Bundle, without)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "without payload\t%s: %s\n", substitute.Name(), terminal.Clean(substitute.Manifest.Task))
		if err := substitute.Close(); err != nil {
			return err
		}
	}
	if l.Shadow != nil {
		fmt.Fprintf(t, "shadow\t%s: %s\n", l.Shadow.Name(), terminal.Clean(l.Shadow.Manifest.Task))
		fmt.Fprintf(t, "shadow's label log\t%s\n", terminal.Clean(c.Shadow.Path))
	}
	fmt.Fprintf(t, "socket\t%s, mode %#o\n", terminal.Clean(c.Listen.Socket), c.Listen.Mode)
	fmt.Fprintf(t, "label log\t%s\n", terminal.Clean(c.Labels.Path))
	warnOwners(c)
	for _, s := range c.Suppress {
		fmt.Fprintf(t, "suppress\t%s\n", suppressed(s))
	}
	m := sidecar.DivideMemory(&c, b, l.Shadow)
	m.Print(t)
	fmt.Fprintf(t, "metrics\t%s\n", cmp.Or(c.Telemetry.Listen, "none"))
	err := errors.Join(checkInference(ctx, t, b), checkKafka(ctx, t, c.Kafka))
	return errors.Join(err, t.Flush())
}

// warnOwners logs users and groups of sockets that this machine does not know. They are no error:
// the configuration may be for another machine.
func warnOwners(c config.Config) {
	for _, s := range []unixsocket.Socket{
		{Path: c.Listen.Socket, Owner: c.Listen.Owner, Group: c.Listen.Group},
		{Path: c.EVE.Listen, Owner: c.EVE.Owner, Group: c.EVE.Group},
	} {
		if err := s.CheckOwners(); s.Path != "" && err != nil {
			log := openLog(c.Log)
			log.Warn().Err(err).Str("socket", s.Path).Msg("serveflow run does not start on this machine")
			log.Close()
		}
	}
}

// suppressed says what an entry of suppress matches.
func suppressed(s config.Suppress) string {
	text := terminal.Clean(s.Label)
	if len(s.Network) > 0 {
		text += fmt.Sprintf(", network %v", s.Network)
	}
	if len(s.Port) > 0 {
		text += fmt.Sprintf(", port %v", s.Port)
	}
	if s.Below > 0 {
		text += fmt.Sprintf(", below %v", s.Below)
	}
	return text
}

// inferenceTime is how long inference servers may take to give the golden rows.
const inferenceTime = 15 * time.Second

// checkInference waits for a server of each remote stage to be fit for use.
func checkInference(ctx context.Context, w io.Writer, b *bundle.Bundle) error {
	ctx, cancel := context.WithTimeout(ctx, inferenceTime)
	defer cancel()
	var errs []error
	for _, m := range b.Remotes() {
		for m.Ready() == 0 && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		fmt.Fprintf(w, "inference\tmodel %s: servers %d, in use %d\n", terminal.Clean(m.Model), m.Servers(), m.Ready())
		if m.Ready() == 0 {
			errs = append(errs, fmt.Errorf("inference.endpoints: no server can be used for model %s; the lines above say why", m.Model))
		}
	}
	return errors.Join(errs...)
}

// kafkaTime is how long brokers may take to answer.
const kafkaTime = 15 * time.Second

func checkKafka(ctx context.Context, w io.Writer, c config.Kafka) error {
	if len(c.Brokers) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	topics, err := kafka.Check(ctx, sidecar.KafkaOptions(c, 0, zerolog.Nop()))
	for _, t := range topics {
		fmt.Fprintf(w, "kafka\ttopic %s: partitions %d\n", t.Name, t.Partitions)
	}
	return err
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
