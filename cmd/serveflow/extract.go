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
	Packets         int      `default:"10" help:"Packets of a flow to extract features from."`
	Sections        []string `default:"ipv4,tcp,udp,icmp,seq" help:"Feature sections: ipv4, ipv6, tcp, udp, icmp, seq, shape."`
	Masks           []string `default:"addresses,checksums,identifiers,tcp_sequence,tcp_timestamps,ephemeral_ports" help:"Fields hidden from the model because they identify the capture."`
	Events          string   `enum:"packet,meta" default:"packet" help:"Events that the tap sends: packet (with headers) or meta (headerless)."`
	VerifyChecksums bool     `help:"Skip packets with bad checksums. Captures on the sending host have many, because of checksum offload."`
}

// Help is the text below the flags.
func (extractCmd) Help() string {
	return `Features are extracted by the same code as in serving. There is one row per flow;
columns wait_1, wait_2 … are the times of its packets. With --labels, flows are labelled
by rules on Zeek's logs, or by lists; flows without a label are counted and skipped.`
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
	return unreadError(len(list)-read, len(list))
}
