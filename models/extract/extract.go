// Package extract turns labelled captures into a table to train models on: the
// work of "serveflow extract".
//
// Captures have splits and labels (see package dataset). Flows are built by package
// replay and encoded by package feature, the code that serves, so that a model has the
// same input in training and in use. The result is one Parquet file with a row for every flow.
//
// # Rows
//
// Captures come in the order of the list and their flows in the order in which they
// end: the same captures always give the same rows, on however many processors. A
// flow without a known label has no row and is counted. The columns are
//
//	file, split         of the capture
//	label               of the flow
//	flow                number of the flow in its capture, from 1
//	start_us            time of its first packet in µs since the epoch
//	packets             how many packets it has
//	wait_1, wait_2 …    µs from its first packet to each of the packets that
//	                    features speak of, -1 where it has fewer
//
// and then those of the catalogue that Options.Spec asks for, under their names:
// bits as INT32 with the logical type INT(8), everything else as FLOAT.
package extract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/operate/wholefile"
	"serveflow/sidecar/replay"
)

// Options say what to extract.
type Options struct {
	// Captures are those to read.
	Captures []dataset.Capture
	// Spec says which features to compute. With NoHeaders, packets are
	// encoded as a tap tells of them that sees no headers (META).
	Spec feature.Spec
	// Replay says how flows are built.
	Replay replay.Options
	// Output is the path of the Parquet file. It appears when it is complete.
	Output string
	// Progress, if set, is called after each capture, from one goroutine.
	Progress func(done, total int)
}

// Stats tell what was extracted.
type Stats struct {
	// Captures has one element for each capture, in their order.
	Captures []CaptureStats
	// Labels counts the flows of all captures by the source of their label.
	Labels groundtruth.Tally
	// Rows counts the flows that have a label.
	Rows int
	// Columns counts the features of a row.
	Columns int
}

// CaptureStats tell what was found in one capture.
type CaptureStats struct {
	// File is the path as the manifest writes it.
	File   string
	Counts replay.Counts
	// Cut says that the capture stops before its end, as after a full disk, a
	// copy from a running tcpdump or damage. What comes before is used.
	Cut error
	// Unread says that nothing of it can be read. The others are used.
	Unread error
}

// ErrNoRows says that no flow has a label, or that there is no flow.
var ErrNoRows = errors.New("no flow has a label: there is nothing to train on")

// Run extracts. A capture that cannot be read is left out: the stats say so. On an
// error, no output is left. It stops early when ctx is done. With ErrNoRows, the
// stats tell why.
func Run(ctx context.Context, o Options) (Stats, error) {
	if err := o.Spec.Validate(); err != nil {
		return Stats{}, fmt.Errorf("features: %w", err)
	}
	columns := o.Spec.Columns()
	plan, err := feature.Compile(columns, o.Spec.Masks)
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{Columns: len(columns)}
	err = wholefile.Write(o.Output, func(f *os.File) error {
		t := newTable(f, o.Spec, columns)
		if err := o.rows(ctx, plan, t, &stats); err != nil {
			return err
		}
		if stats.Rows == 0 {
			return ErrNoRows
		}
		return t.close()
	})
	return stats, err
}

// rows reads the captures side by side and adds their rows to t in order.
func (o *Options) rows(ctx context.Context, plan *feature.Plan, t *table, stats *Stats) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Workers take captures in order, so the one that is due is never waiting
	// for a worker that waits for its own turn.
	workers := runtime.GOMAXPROCS(0)
	queue, inOrder := make(chan *reader), make(chan *reader, 2*workers)
	for range workers {
		running.Go(func() {
			for r := range queue {
				r.run(ctx)
			}
		})
	}
	running.Go(func() {
		defer close(inOrder)
		defer close(queue)
		for _, c := range o.Captures {
			r := &reader{capture: c, plan: plan, options: o, batches: make(chan *batch, 1)}
			select {
			case inOrder <- r:
				queue <- r
			case <-ctx.Done():
				return
			}
		}
	})
	for r := range inOrder {
		for b := range r.batches {
			if err := t.add(&r.capture, b); err != nil {
				return err
			}
		}
		if errors.As(r.err, new(*replay.OpenError)) {
			r.stats.Unread = r.err
		} else if r.err != nil {
			return r.err
		}
		stats.Captures = append(stats.Captures, r.stats)
		stats.Labels.Join(&r.tally)
		_, stats.Rows = stats.Labels.Flows()
		if o.Progress != nil {
			o.Progress(len(stats.Captures), len(o.Captures))
		}
	}
	return ctx.Err()
}
