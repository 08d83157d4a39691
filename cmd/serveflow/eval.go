package main

import (
	"context"
	"encoding/json"
	"os"

	"serveflow/models/evaluate"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/replay"
)

type evalCmd struct {
	Bundle          string `required:"" placeholder:"NAME|DIR" help:"Bundle to measure."`
	truthFlags      `embed:""`
	Split           []string `placeholder:"SPLIT" help:"Only captures of these splits."`
	Group           string   `default:"source" placeholder:"COLUMN" help:"Column of the manifest whose values are reported side by side, where it has it. Default: source."`
	Natural         string   `default:"natural" placeholder:"COLUMN" help:"Column of the manifest that is 1 for captures of real mixtures of traffic, of which there are figures of their own, where it has it. Default: natural."`
	Events          string   `enum:"packet,meta" default:"packet" help:"What the tap sees: packet (headers) or meta (none)."`
	Payload         bool     `default:"true" negatable:"" help:"Let the bundle look at the first bytes of payload."`
	VerifyChecksums bool     `help:"Leave out packets with bad checksums. A host that captures its own traffic sees many that its network card has still to fill in."`
	JSON            bool     `help:"Print the report as JSON."`
}

// Help is the text below the flags.
func (evalCmd) Help() string {
	return `Everything goes through a sidecar, over its socket: once with the cascade, once
with its last stage alone on every flow. Flows of kinds that the bundle has no
label for are background: right with unknown, or with the bundle's label for them.
F1 is over the kinds that it has a label for, with unknown counted as wrong.`
}

func (e evalCmd) Run(ctx context.Context) error {
	list, _, err := e.list(e.Split)
	if err != nil {
		return err
	}
	b, err := openBundle(e.Bundle, config.Default())
	if err != nil {
		return err
	}
	report, err := evaluate.Run(ctx, evaluate.Options{
		Bundle: b, Captures: list, Meta: e.Events == "meta", NoPayload: !e.Payload,
		Group: e.Group, Natural: e.Natural,
		Replay:   replay.Options{IgnoreChecksums: !e.VerifyChecksums},
		Progress: progress("evaluating"),
	})
	if err != nil {
		return closing(b, err)
	}
	if e.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return closing(b, out.Encode(report))
	}
	return closing(b, report.WriteText(os.Stdout))
}
