// Command serveflow labels network flows beside Zeek and Suricata.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
)

// version is set by the linker.
var version = "unknown"

// Exit codes.
const (
	exitFailure = 1 // it did not work
	exitUsage   = 2 // the command line is wrong
	exitConfig  = 3 // the configuration, a bundle, a manifest or labels are wrong: trying again does not help
)

type cli struct {
	Run     runCmd     `cmd:"" help:"Run the sidecar: listen for taps, label their flows."`
	Replay  replayCmd  `cmd:"" help:"Play captures to a sidecar as a tap would, and show the labels."`
	Eval    evalCmd    `cmd:"" help:"Measure a bundle on labelled captures: how often it is right, how soon."`
	Bench   benchCmd   `cmd:"" help:"Measure what a sidecar can take, and how soon its labels come."`
	Extract extractCmd `cmd:"" help:"Turn labelled captures into a table of features to train on."`
	Tune    tuneCmd    `cmd:"" help:"Choose a cascade from trained candidates, and write its bundle."`
	Enrich  enrichCmd  `cmd:"" help:"Join labels into a Zeek conn.log or a Suricata eve.json."`
	Check   checkCmd   `cmd:"" help:"Check a configuration and its bundle, and say what they come to."`
	Version versionCmd `cmd:"" help:"Print the version."`

	BenchSidecar benchSidecarCmd `cmd:"" hidden:"" help:"The sidecar that bench measures."`
}

// configError is an error that trying again does not help.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func main() {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("serveflow"),
		kong.Description("Machine-learned labels on live traffic, beside Zeek and Suricata."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic(err)
	}
	if len(os.Args) == 1 {
		os.Args = append(os.Args, "--help")
	}
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "serveflow: %v\nTry: serveflow %s--help\n", err, command(err))
		os.Exit(exitUsage)
	}
	ctx := context.Background()
	if k.Command() != "run" { // which drains on its own
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "serveflow: %v\n", err)
		if errors.As(err, new(configError)) || errors.As(err, new(*dataset.Error)) || errors.As(err, new(*groundtruth.Error)) {
			os.Exit(exitConfig)
		}
		os.Exit(exitFailure)
	}
}

// command is the subcommand, and a space, that a wrong command line is of; ""
// if it names none.
func command(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context.Selected() != nil {
		return wrong.Context.Selected().Name + " "
	}
	return ""
}
