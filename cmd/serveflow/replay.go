package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"serveflow/models/dataset"
	"serveflow/models/evaluate"
	"serveflow/sidecar"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

type replayCmd struct {
	captureList
	Socket          string       `xor:"sidecar" placeholder:"PATH" help:"Socket of a running sidecar. Default: the one of the default configuration."`
	Bundle          string       `xor:"sidecar" placeholder:"NAME|DIR" help:"Start a private sidecar with this bundle instead."`
	Events          string       `enum:"packet,meta" default:"packet" help:"Events that the tap sends: packet (with headers) or meta (headerless)."`
	Payload         bool         `default:"true" negatable:"" help:"Let the bundle use the first bytes of payload."`
	Flows           replay.Rules `enum:"zeek,suricata,suricata8" default:"zeek" help:"Flow rules and default timeouts of zeek, suricata (7) or suricata8."`
	Live            bool         `help:"Act as a live tap: timeouts run on the wall clock, and a lost connection is reopened."`
	Speed           speed        `default:"max" help:"max, real, or a factor such as 2x."`
	VerifyChecksums bool         `help:"Skip packets with bad checksums. Captures on the sending host have many, because of checksum offload."`
	JSON            bool         `help:"Print one JSON object per flow."`
}

// Help is the text below the flags.
func (replayCmd) Help() string {
	return `Builds flows by the rules of Zeek or Suricata and sends their first packets to the
sidecar's socket as a tap would. Prints every flow with its label.`
}

// Validate implements kong's interface: what it refuses is a wrong command line.
func (r replayCmd) Validate() error { return r.validate("play") }

// speed is a factor of a capture's own pace, 0 for as fast as possible.
type speed float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *speed) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "max":
		*s = 0
	case "real":
		*s = 1
	default:
		f, err := strconv.ParseFloat(strings.TrimSuffix(word, "x"), 64)
		if err != nil || !(f > 0 && f <= 1e6) {
			return fmt.Errorf("%q: use max, real, or a factor such as 2x", word)
		}
		*s = speed(f)
	}
	return nil
}

func (r replayCmd) Run(ctx context.Context) (err error) {
	list, err := r.list()
	if err != nil {
		return err
	}
	socket := r.Socket
	if socket == "" {
		socket = config.Default().Listen.Socket
	}
	if r.Bundle != "" {
		c := config.Default()
		c.Privacy.Payload = r.Payload
		b, err := openBundle(r.Bundle, c)
		if err != nil {
			return err
		}
		defer func() { err = closing(err, b) }()
		own, err := sidecar.StartPrivate(b, r.Payload, discard{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.Stop(context.WithoutCancel(ctx))) }()
		socket = own.Socket
	}
	return r.play(ctx, socket, list)
}

// refused reports whether no sidecar could be connected to.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// play replays the captures one after the other and prints their flows.
func (r replayCmd) play(ctx context.Context, socket string, list []dataset.Capture) error {
	out := newFlowTable(os.Stdout, r)
	var total replay.Report
	var truth, given []string
	unread := 0
	for _, c := range list {
		report, err := replay.LabelFile(ctx, socket, c.Path, replay.TapOptions{
			Sensor: wire.CleanText(filepath.Base(c.File)), Capture: !r.Live, Reconnect: r.Live,
			Meta: r.Events == "meta", Speed: float64(r.Speed),
		}, replay.Options{IgnoreChecksums: !r.VerifyChecksums, Rules: r.Flows}, func(fl *replay.Labelled) error {
			asked := fl.Label.Reason != cascade.Unserved.String() && fl.Label.Reason != cascade.Silent.String()
			if r.Manifest != "" && asked {
				truth, given = append(truth, c.Label), append(given, fl.Label.Label)
			}
			return out.row(c, fl)
		})
		switch {
		case errors.As(err, new(*replay.OpenError)) && len(list) > 1:
			unread++
			fmt.Fprintf(os.Stderr, "%v; the others are played\n", err)
			continue
		case errors.As(err, new(*replay.StopError)):
			fmt.Fprintf(os.Stderr, "%v; what comes before was played\n", err)
		case err != nil && r.Bundle == "" && refused(err):
			return errors.Join(out.flush(), fmt.Errorf("%w; without a sidecar: --bundle %s", err, config.Default().Bundle))
		case err != nil:
			return errors.Join(out.flush(), err)
		}
		if report.Steps > 0 {
			fmt.Fprintf(os.Stderr, "capture %s: its clock steps %d times, by over 10 minutes or back: these were not waited for\n", c.Path, report.Steps)
		}
		total.Capture.Add(&report.Capture)
		total.Events += report.Events
		total.Labels += report.Labels
	}
	if err := out.flush(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d captures, %d packets, %d flows; %d packets sent, %d labels\n",
		len(list)-unread, total.Capture.Packets, total.Capture.Flows, total.Events, total.Labels)
	if skipped := total.Capture.Skipped; skipped.Sum() > 0 {
		fmt.Fprintf(os.Stderr, "%d packets belong to no flow: %v\n", skipped.Sum(), skipped)
	}
	if r.Manifest != "" {
		s := evaluate.Score(truth, given)
		fmt.Fprintf(os.Stderr, "against the truth, of %d flows that models were asked about: F1 macro %.3f, weighted %.3f (unknown counted as wrong)\n",
			len(truth), s.Macro, s.Weighted)
	}
	return unreadError(unread, len(list))
}

// discard drops the decisions: the tap gets them all.
type discard struct{}

func (discard) Write([]decision.Record) {}
