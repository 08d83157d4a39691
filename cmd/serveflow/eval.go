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
	Group           string   `default:"source" placeholder:"COLUMN" help:"Manifest column to report by, if the manifest has it. Default: source."`
	Natural         string   `default:"natural" placeholder:"COLUMN" help:"Manifest column that is 1 for captures of natural traffic mixes, which are also reported separately. Default: natural."`
	Events          string   `enum:"packet,meta" default:"packet" help:"Events that the tap sends: packet (with headers) or meta (headerless)."`
	Payload         bool     `default:"true" negatable:"" help:"Let the bundle use the first bytes of payload."`
	VerifyChecksums bool     `help:"Skip packets with bad checksums. Captures on the sending host have many, because of checksum offload."`
	JSON            bool     `help:"Print the report as JSON."`
}

// Help is the text below the flags.
func (evalCmd) Help() string {
	return `All captures are replayed to a sidecar over its socket, once with the cascade and once
with the last stage alone. Flows of kinds that the bundle has no label for are
background: unknown, or the bundle's background label, is correct for them. F1 covers
the kinds that the bundle has a label for; unknown counts as wrong.`
}

func (e evalCmd) Run(ctx context.Context) error {
	list, _, err := e.list(e.Split)
	if err != nil {
		return err
	}
	c := config.Default()
	c.Privacy.Payload = e.Payload
	b, err := openBundle(e.Bundle, c)
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
		return closing(err, b)
	}
	if e.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = report.WriteText(os.Stdout)
	}
	if err == nil {
		err = unreadError(len(report.Unread), len(list))
	}
	return closing(err, b)
}
