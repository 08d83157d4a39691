package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"serveflow/sidecar/operate/wholefile"
	"serveflow/sidecar/replay"
	"serveflow/test/bench"
)

type benchCmd struct {
	captureList
	Bundle    string         `default:"${bundle}" placeholder:"NAME|DIR" help:"Bundle to measure (${default})."`
	Mode      []bench.Mode   `default:"cascade,slow,fast" placeholder:"MODE" help:"Stages to use: cascade, slow (the last, for every flow), fast (the first). Measured in turn (${default})."`
	Rate      flowRate       `default:"max" placeholder:"FLOWS" help:"New flows per second: a number, max, or a share of the maximum such as 50%, which measures both (${default})."`
	Duration  time.Duration  `default:"10s" help:"Duration of each measurement (${default})."`
	Warmup    *time.Duration `help:"Duration of the warm-up before it (2s; at a rate 12s, after which flows end as often as they begin)."`
	Repeat    int            `default:"3" placeholder:"N" help:"Measurements of each mode (${default})."`
	Cores     int            `placeholder:"N" help:"Bind the sidecar to N processors and the generator to the others."`
	Shards    int            `placeholder:"N" help:"As flow.shards: 0 is one per processor."`
	Inference []string       `placeholder:"HOST:PORT" help:"Inference servers that remote stages of the bundle ask, as inference.endpoints."`
	Profile   string         `placeholder:"FILE" help:"Write CPU profiles of the sidecars to FILE.0, FILE.1 and so on."`
	Base      string         `placeholder:"PROGRAM" help:"Measure this other serveflow too, in turn, and tell the ratio."`
	Earlier   string         `placeholder:"FILE" help:"Compare with this report, made by --json on this machine."`
	JSON      bool           `help:"Print the report as JSON."`
	HTML      string         `placeholder:"FILE" help:"Also write an HTML report with plots."`
}

// Help is the text below the flags.
func (benchCmd) Help() string {
	return `Replays captures in a loop to a private sidecar in another process, and reports its
throughput per CPU time. With a --manifest it also reports the accuracy of the labels.`
}

// Validate implements kong's interface: what it refuses is a wrong command line.
func (b benchCmd) Validate() error {
	switch {
	case b.Repeat < 1:
		return fmt.Errorf("--repeat %d: at least 1", b.Repeat)
	case b.Cores < 0 || b.Shards < 0:
		return errors.New("--cores and --shards are at least 0")
	case b.Duration <= 0 || b.Warmup != nil && *b.Warmup < 0:
		return errors.New("--duration must be more than 0, --warmup at least that")
	}
	return b.validate("measure")
}

// flowRate is new flows per second, 0 for as many as possible, and optionally a
// share of that.
type flowRate struct{ flows, share float64 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *flowRate) UnmarshalText(text []byte) error {
	word := string(text)
	*r = flowRate{}
	if word == "max" {
		return nil
	}
	number, percent := strings.CutSuffix(word, "%")
	f, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || !(f > 0 && f <= 1e9) || percent && f > 100:
		return fmt.Errorf("%q: use max, flows per second, or a share such as 50%%", word)
	case percent:
		r.share = f / 100
	default:
		r.flows = f
	}
	return nil
}

func (b benchCmd) Run(ctx context.Context) error {
	list, err := b.list()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{
		Captures: list, Replay: replay.Options{IgnoreChecksums: true}, Bundle: b.Bundle, Modes: b.Mode,
		Repeat: b.Repeat, Rate: b.Rate.flows, Share: b.Rate.share, Warmup: 2 * time.Second, RateWarmup: 12 * time.Second, Duration: b.Duration,
		Cores: b.Cores, Shards: b.Shards, Inference: b.Inference, Profile: b.Profile,
		Command: []string{program, "bench-sidecar"}, Progress: func(string) {},
	}
	if b.Warmup != nil {
		o.Warmup, o.RateWarmup = *b.Warmup, *b.Warmup
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = func(what string) { fmt.Fprintf(os.Stderr, "measuring: %s\n", what) }
	}
	if b.Base != "" {
		o.Base = []string{b.Base, "bench-sidecar"}
	}
	var before *bench.Report
	if b.Earlier != "" {
		if before, err = readReport(b.Earlier); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if b.HTML != "" {
		if err := wholefile.Write(b.HTML, func(f *os.File) error { return report.WriteHTML(f) }); err != nil {
			return err
		}
	}
	if b.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(report)
	}
	if err := report.WriteText(os.Stdout); err != nil || before == nil {
		return err
	}
	return report.WriteEarlier(os.Stdout, before)
}

func readReport(path string) (*bench.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := bench.Earlier(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// benchSidecarCmd is the sidecar that benchCmd measures.
type benchSidecarCmd struct{}

func (benchSidecarCmd) Run() error { return bench.Serve(os.Stdin, os.Stdout) }
