// Command serveflow labels network flows beside Zeek and Suricata.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/terminal"
)

// Exit codes. The last two are those of sysexits.h, which nothing else uses: a
// panic of Go is 2, and systemd must restart the sidecar after one.
const (
	exitFailure = 1  // the command failed
	exitUsage   = 64 // EX_USAGE: the command line is wrong
	exitConfig  = 78 // EX_CONFIG: the configuration, a bundle, a manifest or labels are wrong: retrying does not help
)

type cli struct {
	Run     runCmd     `cmd:"" help:"Run the sidecar: listen for taps, label their flows."`
	Replay  replayCmd  `cmd:"" help:"Play captures to a sidecar as a tap would, and show the labels."`
	Eval    evalCmd    `cmd:"" help:"Measure a bundle's accuracy and latency on labelled captures."`
	Bench   benchCmd   `cmd:"" help:"Measure a sidecar's throughput and label latency."`
	Extract extractCmd `cmd:"" help:"Extract a feature table for training from labelled captures."`
	Tune    tuneCmd    `cmd:"" help:"Choose a cascade from trained candidates and write its bundle."`
	Enrich  enrichCmd  `cmd:"" help:"Join labels into a Zeek conn.log or a Suricata eve.json."`
	Doctor  doctorCmd  `cmd:"" help:"Find what is wrong between the IDS and the sidecar, and what to change."`
	Top     topCmd     `cmd:"" help:"Watch a running sidecar: labels, stages, latencies, losses."`
	Check   checkCmd   `cmd:"" help:"Check a configuration and its bundle, and print a summary."`
	Bundle  bundleCmd  `cmd:"" help:"Pack, sign, verify and inspect bundles."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print the completion script of a shell."`

	Manual       manualCmd       `cmd:"" hidden:"" help:"Write the manual page."`
	BenchSidecar benchSidecarCmd `cmd:"" hidden:"" help:"The sidecar that bench measures."`
}

// configError is an error for which retrying does not help.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func main() {
	var c cli
	parser, err := kong.New(&c, append(asTyped,
		kong.Name("serveflow"),
		kong.Description("Machine-learned labels on live traffic, beside Zeek and Suricata."),
		kong.Vars{"bundle": config.Default().Bundle, "metrics": metricsAddress()}, // of all commands that have a default
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)...)
	if err != nil {
		panic(err)
	}
	if len(os.Args) == 1 {
		os.Args = append(os.Args, "--help")
	}
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		quit(exitUsage, fmt.Sprintf("serveflow: %v\nTry: serveflow %s--help\n", err, command(err)))
	}
	ctx := context.Background()
	if k.Command() != "run" { // which drains on its own
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		// What the first signal does not end, another one does: not its copy from timeout(1).
		context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	}
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(); err != nil {
		code := exitFailure
		if errors.As(err, new(configError)) || errors.As(err, new(*dataset.Error)) || errors.As(err, new(*groundtruth.Error)) {
			code = exitConfig
		}
		quit(code, fmt.Sprintf("serveflow: %v\n", err))
	}
}

// quit ends the program with a message on standard error, which may contain names
// from outside and which perhaps nobody reads.
func quit(code int, text string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		io.WriteString(os.Stderr, terminal.Clean(text))
	}()
	select {
	case <-said:
	case <-time.After(time.Second):
	}
	os.Exit(code)
}

// command is the subcommand, and a space, of a wrong command line; "" if there is
// none.
func command(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context.Selected() != nil {
		return strings.TrimSpace(wrong.Context.Selected().Path()) + " "
	}
	return ""
}
