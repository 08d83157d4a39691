package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"serveflow/models/extract"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/replay"
)

type extractCmd struct {
	truthFlags      `embed:""`
	Split           []string `placeholder:"SPLIT" help:"Only captures of these splits."`
	Output          string   `short:"o" required:"" placeholder:"FILE" help:"Parquet file to write."`
	Packets         int      `default:"10" help:"Packets of a flow that features are made of."`
	Sections        []string `default:"ipv4,tcp,udp,icmp,seq" help:"What features are made of: ipv4, ipv6, tcp, udp, icmp, seq, shape."`
	Masks           []string `default:"addresses,checksums,identifiers,tcp_sequence,tcp_timestamps,ephemeral_ports" help:"What is hidden from the model because it tells of the capture."`
	Events          string   `enum:"packet,meta" default:"packet" help:"What the tap sees: packet (headers) or meta (none)."`
	VerifyChecksums bool     `help:"Leave out packets with bad checksums. A host that captures its own traffic sees many that its network card has still to fill in."`
}

// Help is the text below the flags.
func (extractCmd) Help() string {
	return `The features come from the same code as in serving. One row a flow; columns
wait_1, wait_2 … say when its packets came. With --labels, flows get their label from
Zeek's logs and rules, or from lists; those without one are counted and left out.`
}

// Validate implements kong's interface: what it refuses is a wrong command line.
func (e extractCmd) Validate() error {
	spec, err := e.spec()
	if err == nil {
		err = spec.Validate()
	}
	return err
}

func (e extractCmd) spec() (feature.Spec, error) {
	masks, err := feature.ParseMasks(e.Masks)
	if err != nil {
		return feature.Spec{}, fmt.Errorf("--masks: %w", err)
	}
	return feature.Spec{Packets: e.Packets, Sections: e.Sections, Masks: masks, NoHeaders: e.Events == "meta"}, nil
}

func (e extractCmd) Run(ctx context.Context) error {
	spec, err := e.spec()
	if err != nil {
		return err
	}
	list, known, err := e.list(e.Split)
	if err != nil {
		return err
	}
	stats, err := extract.Run(ctx, extract.Options{
		Captures: list,
		Spec:     spec,
		Replay:   replay.Options{IgnoreChecksums: !e.VerifyChecksums},
		Output:   e.Output,
		Progress: progress("extracting"),
	})
	if known != nil && (err == nil || errors.Is(err, extract.ErrNoRows)) {
		fmt.Println(known.Read)
		if err := stats.Labels.WriteText(os.Stdout); err != nil {
			return err
		}
		fmt.Println()
	}
	read := 0
	var total replay.Counts
	for _, c := range stats.Captures {
		switch {
		case c.Unread != nil:
			fmt.Fprintf(os.Stderr, "%v; it was left out\n", c.Unread)
			continue
		case c.Cut != nil:
			fmt.Fprintf(os.Stderr, "%v; what comes before was used\n", c.Cut)
		}
		read++
		total.Add(&c.Counts)
	}
	if skipped := total.Skipped; skipped.Sum() > 0 {
		fmt.Fprintf(os.Stderr, "%d packets belong to no flow: %v\n", skipped.Sum(), skipped)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d flows of %d captures, %d features each\n", e.Output, stats.Rows, read, stats.Columns)
	return nil
}
