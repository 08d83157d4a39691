package extract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"serveflow/sidecar/captures"
	"serveflow/sidecar/feature"
	"serveflow/sidecar/packet"
	"serveflow/sidecar/replay"
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
	start   int64 // µs since the epoch
	packets int64
}

// reader turns one capture into batches of rows.
type reader struct {
	capture captures.Capture
	plan    *feature.Plan
	options *Options
	batches chan *batch // closed at the end of the capture
	// To be read once batches is closed:
	stats CaptureStats
	err   error

	open  map[uint64]*openFlow
	spare []*openFlow
}

// openFlow is a flow that has not ended.
type openFlow struct {
	start   int64
	count   int64
	packets []packet.Packet // the first ones
}

// run reads the capture.
func (r *reader) run(ctx context.Context) {
	defer close(r.batches)
	r.stats.File = r.capture.File
	if err := r.read(ctx); err != nil {
		r.err = fmt.Errorf("capture %s: %w", r.capture.File, err)
	}
}

func (r *reader) read(ctx context.Context) error {
	src, err := replay.Open(r.capture.Path)
	if err != nil {
		return err
	}
	defer src.Close()
	r.open = map[uint64]*openFlow{}
	flows := replay.NewFlows(src, r.options.Replay)
	b := &batch{}
	var ev replay.Event
	for ctx.Err() == nil {
		err := flows.Next(&ev)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			r.stats.Cut, err = err, io.EOF
		}
		if err == io.EOF {
			r.stats.Counts = flows.Counts()
			return r.send(ctx, b)
		}
		if err != nil {
			return err
		}
		if ev.Kind == replay.PacketEvent {
			r.packet(&ev)
			continue
		}
		r.end(b, ev.Flow)
		if len(b.flows) == batchRows {
			if err := r.send(ctx, b); err != nil {
				return err
			}
			b = &batch{}
		}
	}
	return ctx.Err()
}

func (r *reader) send(ctx context.Context, b *batch) error {
	select {
	case r.batches <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// packet takes a packet of a flow.
func (r *reader) packet(ev *replay.Event) {
	fl := r.open[ev.Flow]
	if fl == nil {
		fl = r.begin(ev.Time)
		r.open[ev.Flow] = fl
	}
	fl.count++
	n := len(fl.packets)
	if n == cap(fl.packets) {
		return
	}
	fl.packets = fl.packets[:n+1]
	p := &fl.packets[n]
	if r.options.Spec.NoHeaders {
		p.SetMeta(ev.Headers.Tuple, ev.Time, ev.Dir, ev.Headers.Payload)
	} else {
		p.SetFrame(&ev.Headers, ev.Frame, ev.Time, ev.Dir)
	}
}

// begin returns an empty flow, one that has ended if there is any.
func (r *reader) begin(start int64) *openFlow {
	if n := len(r.spare); n > 0 {
		fl := r.spare[n-1]
		r.spare = r.spare[:n-1]
		*fl = openFlow{start: start, packets: fl.packets[:0]}
		return fl
	}
	return &openFlow{start: start, packets: make([]packet.Packet, 0, r.options.Spec.Packets)}
}

// end adds the row of a flow that has ended.
func (r *reader) end(b *batch, number uint64) {
	fl := r.open[number]
	b.flows = append(b.flows, flowRow{number, fl.start, fl.count})
	for k := range r.options.Spec.Packets {
		wait := int64(feature.Missing)
		if k < len(fl.packets) {
			wait = max(0, fl.packets[k].Time-fl.start)
		}
		b.waits = append(b.waits, wait)
	}
	at := len(b.features)
	width := r.plan.Width()
	if b.features == nil {
		b.features = make([]float32, 0, batchRows*width)
	}
	b.features = b.features[:at+width]
	r.plan.Encode(b.features[at:], fl.packets)
	delete(r.open, number)
	r.spare = append(r.spare, fl)
}
