package extract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"serveflow/models/dataset"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
)

// Flow is a flow of a capture that has ended.
type Flow struct {
	Number  uint64          // in the capture, from 1
	Tuple   packet.Tuple    // originator first
	Start   int64           // of its first packet, µs since the epoch
	Count   int64           // how many packets it has
	Packets []packet.Packet // the first ones
}

// Wait is the time in µs from the first packet to packet k, counted from 0.
func (f *Flow) Wait(k int) int64 { return max(0, f.Packets[k].Time-f.Start) }

// ReadFlows calls each for every flow of a capture, in the order in which they
// end, with so many of their first packets; the flow is valid until each returns.
// noHeaders gives packets as a tap tells of them that sees no headers. A capture
// that stops before its end is no error: the stats say so.
func ReadFlows(ctx context.Context, c dataset.Capture, o replay.Options, packets int, noHeaders bool, each func(*Flow) error) (CaptureStats, error) {
	r := flowReader{packets: packets, noHeaders: noHeaders, open: map[uint64]*Flow{}}
	stats := CaptureStats{File: c.File}
	if err := r.read(ctx, c.Path, o, &stats, each); errors.As(err, new(*replay.OpenError)) {
		return stats, err // which names it
	} else if err != nil {
		return stats, fmt.Errorf("capture %s: %w", c.File, err)
	}
	return stats, nil
}

type flowReader struct {
	packets   int
	noHeaders bool
	open      map[uint64]*Flow
	spare     []*Flow // ended flows, to be used again
}

func (r *flowReader) read(ctx context.Context, path string, o replay.Options, stats *CaptureStats, each func(*Flow) error) error {
	src, err := replay.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	flows := replay.NewFlows(src, o)
	var ev replay.Event
	for ctx.Err() == nil {
		err := flows.Next(&ev)
		if errors.As(err, new(*replay.StopError)) {
			stats.Cut, err = err, io.EOF
		}
		if err == io.EOF {
			stats.Counts = flows.Counts()
			return nil
		}
		if err != nil {
			return err
		}
		if ev.Kind == replay.PacketEvent {
			r.packet(&ev)
			continue
		}
		fl := r.open[ev.Flow]
		if err := each(fl); err != nil {
			return err
		}
		delete(r.open, ev.Flow)
		r.spare = append(r.spare, fl)
	}
	return ctx.Err()
}

// packet takes a packet of a flow.
func (r *flowReader) packet(ev *replay.Event) {
	fl := r.open[ev.Flow]
	if fl == nil {
		fl = r.begin(ev)
		r.open[ev.Flow] = fl
	}
	fl.Count++
	n := len(fl.Packets)
	if n == cap(fl.Packets) {
		return
	}
	fl.Packets = fl.Packets[:n+1]
	p := &fl.Packets[n]
	if r.noHeaders {
		p.SetMeta(ev.Headers.Tuple, ev.Time, ev.Dir, ev.Headers.Payload)
	} else {
		p.SetFrame(&ev.Headers, ev.Frame, ev.Time, ev.Dir)
	}
	p.SetPayload(ev.Headers.PayloadOf(ev.Frame))
}

// begin returns an empty flow, one that has ended if there is any.
func (r *flowReader) begin(ev *replay.Event) *Flow {
	if n := len(r.spare); n > 0 {
		fl := r.spare[n-1]
		r.spare = r.spare[:n-1]
		*fl = Flow{Number: ev.Flow, Tuple: ev.Tuple, Start: ev.Time, Packets: fl.Packets[:0]}
		return fl
	}
	return &Flow{Number: ev.Flow, Tuple: ev.Tuple, Start: ev.Time, Packets: make([]packet.Packet, 0, r.packets)}
}
