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
	Events          string   `enum:"packet,meta" default:"packet" help:"What the tap sees: packet (headers) or meta (none)."`
	VerifyChecksums bool     `help:"Leave out packets with bad checksums. A host that captures its own traffic sees many that its network card has still to fill in."`
	JSON            bool     `help:"Print the report as JSON."`
}

// Help is the text below the flags.
func (evalCmd) Help() string {
	return `Everything goes through a sidecar, over its socket: once with the cascade, once
with its last stage alone on every flow. F1 is over all flows, with unknown
counted as wrong.`
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
		Bundle: b, Captures: list, Meta: e.Events == "meta",
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
