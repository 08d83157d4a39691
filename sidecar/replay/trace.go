package replay

import (
	"errors"
	"io"

	"serveflow/sidecar/features/packet"
)

// Trace is what a capture shows of one flow.
type Trace struct {
	Flow    uint64 // number in the capture, from 1
	Tuple   packet.Tuple
	Start   int64   // time of the first packet, µs since the epoch
	Packets uint64  // how many it has
	Waits   []int64 // µs from the first packet to the first ones, itself included
}

// ReadTraces returns the flows of a capture in the order of their numbers, with
// the waits for up to so many packets. If the capture ends in an error, the
// flows up to there are returned with it.
func ReadTraces(path string, o Options, packets int) ([]Trace, error) {
	source, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	flows := NewFlows(source, o)
	var traces []Trace
	var ev Event
	for {
		if err := flows.Next(&ev); errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return traces, nil
		} else if err != nil {
			return traces, err
		}
		if ev.Kind != PacketEvent {
			continue
		}
		if ev.Flow > uint64(len(traces)) {
			traces = append(traces, Trace{Flow: ev.Flow, Tuple: ev.Tuple, Start: ev.Time})
		}
		t := &traces[ev.Flow-1]
		t.Packets++
		if len(t.Waits) < packets {
			t.Waits = append(t.Waits, max(ev.Time-t.Start, 0))
		}
	}
}
