package extract

import (
	"context"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/sidecar/features/feature"
)

// batchRows is how many rows go over to the writer at a time.
const batchRows = 64

// batch holds rows of one capture.
type batch struct {
	flows    []flowRow
	waits    []int64   // row by row, the spec's packets each
	features []float32 // row by row, the plan's width each
}

// flowRow is what a row says of its flow beside features.
type flowRow struct {
	number  uint64
	label   string
	start   int64 // µs since the epoch
	packets int64
}

// reader turns one capture into batches of rows.
type reader struct {
	capture dataset.Capture
	plan    *feature.Plan
	options *Options
	batches chan *batch // closed at the end of the capture
	// To be read once batches is closed:
	stats CaptureStats
	tally groundtruth.Tally
	err   error
}

// run reads the capture.
func (r *reader) run(ctx context.Context) {
	defer close(r.batches)
	r.stats, r.err = CaptureStats{File: r.capture.File}, nil
	b := &batch{}
	stats, err := ReadFlows(ctx, r.capture, r.options.Replay, r.options.Spec.Packets, r.options.Spec.NoHeaders, func(fl *Flow) error {
		answer := r.capture.Truth(fl.Tuple, fl.Start)
		r.tally.Add(r.capture.Split, answer)
		if answer.Label == "" {
			return nil
		}
		r.add(b, fl, answer.Label)
		if len(b.flows) < batchRows {
			return nil
		}
		full := b
		b = &batch{}
		return r.send(ctx, full)
	})
	if err == nil {
		err = r.send(ctx, b)
	}
	r.stats, r.err = stats, err
}

func (r *reader) send(ctx context.Context, b *batch) error {
	select {
	case r.batches <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add adds the row of a flow.
func (r *reader) add(b *batch, fl *Flow, label string) {
	b.flows = append(b.flows, flowRow{fl.Number, label, fl.Start, fl.Count})
	for k := range r.options.Spec.Packets {
		wait := int64(feature.Missing)
		if k < len(fl.Packets) {
			wait = fl.Wait(k)
		}
		b.waits = append(b.waits, wait)
	}
	at := len(b.features)
	width := r.plan.Width()
	if b.features == nil {
		b.features = make([]float32, 0, batchRows*width)
	}
	b.features = b.features[:at+width]
	r.plan.Encode(b.features[at:], fl.Packets)
}
