package bench

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"serveflow/models/dataset"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// schedule is captures laid out in a circle. Instance i of it is every capture once,
// begun in period i; for a rate it is every flow once, begun in period i.
type schedule struct {
	period int64   // µs of packet time
	events []event // in the order of their places in the circle
	flows  []flow
	laps   int64 // periods that the longest of an instance lasts
	bytes  []byte
}

// event is a message of a flow.
type event struct {
	at       int64 // µs into the period
	lap      int64 // how many periods after its instance began
	flow     uint32
	from, to uint32 // the message in bytes, as encoded for flow and time 0
	end      bool
}

// flow is one flow of a capture, and when it has what: µs from the beginning of
// the period in which its instance began.
type flow struct {
	truth   string
	packets []int64
	end     int64
}

// overlap is how many times over the longest capture is under way at once.
const overlap = 8

// newSchedule reads captures as a tap whose sidecar wants the first packets of
// each flow. Those that are cut are read as far as they go. With a rate, in new flows
// per second of packet time, so many flows are under way as a network with that rate
// has.
func newSchedule(list []dataset.Capture, o replay.Options, need wire.Welcome, rate float64) (*schedule, error) {
	s := &schedule{}
	var starts []int // first event of each capture
	longest := int64(0)
	for _, c := range list {
		starts = append(starts, len(s.events))
		last, err := s.read(c, o, need)
		if err != nil {
			return nil, err
		}
		longest = max(longest, last)
	}
	if len(s.flows) == 0 {
		return nil, errors.New("there is no flow in the captures")
	}
	s.period = max(longest/overlap, 1)
	if rate > 0 {
		s.period = max(int64(float64(len(s.flows))/rate*1e6), 1)
	}
	for i, from := range starts {
		to := len(s.events)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		s.begin(s.events[from:to], s.period*int64(i)/int64(len(starts)), rate > 0)
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return s, nil
}

// begin puts a capture's events at their places, its first at the given moment; apart,
// each flow begins in the first period of its instance.
func (s *schedule) begin(events []event, at int64, apart bool) {
	skipped := map[uint32]int64{} // by flow, µs before the period in which it begins
	for k := range events {
		e := &events[k]
		t := e.at + at
		if apart {
			if _, known := skipped[e.flow]; !known {
				skipped[e.flow] = t - t%s.period
			}
			t -= skipped[e.flow]
		}
		f := &s.flows[e.flow]
		if e.end {
			f.end = t
		} else {
			f.packets = append(f.packets, t)
		}
		e.lap, e.at = t/s.period, t%s.period
		s.laps = max(s.laps, e.lap+1)
	}
}

// read adds a capture, its times from its first event on, and returns its
// length.
func (s *schedule) read(c dataset.Capture, o replay.Options, need wire.Welcome) (last int64, err error) {
	source, err := replay.Open(c.Path)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	var (
		out     bytes.Buffer
		encoder = wire.NewEncoder(&out)
		flows   = replay.NewFlows(source, o)
		base    = len(s.flows)
		first   int64
		ev      replay.Event
		m       wire.Message
	)
	for n := 0; ; n++ {
		if err := flows.Next(&ev); err == io.EOF || errors.As(err, new(*replay.StopError)) {
			return last, nil
		} else if err != nil {
			return 0, err
		}
		if n == 0 {
			first = ev.Time
		}
		// Captures may step back in time, a circle cannot.
		last = max(last, ev.Time-first)
		e := event{at: last, flow: uint32(base) + uint32(ev.Flow) - 1, end: ev.Kind == replay.EndEvent}
		if int(e.flow) == len(s.flows) {
			s.flows = append(s.flows, flow{truth: c.Label})
		}
		out.Reset()
		if e.end {
			err = encoder.End(blankFlow, blankTime)
		} else if ev.OrigPkts+ev.RespPkts <= uint64(need.Packets) {
			replay.PacketMessage(&m, &ev, &need)
			m.Flow, m.Time, m.Dir = blankFlow, blankTime, uint8(ev.Dir)
			m.OrigPkts, m.RespPkts = ev.OrigPkts, ev.RespPkts
			err = encoder.Packet(&m)
		}
		if err == nil && out.Len() > 0 {
			err = s.keep(e, out.Bytes())
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.Path, err)
		}
	}
}

// Messages are encoded once, with a flow and a time that take the most bytes,
// and those are overwritten for each sending: behind the head of the array and
// the type stand two integers of 8 bytes after their codes.
const (
	flowAt    = 3
	timeAt    = flowAt + 8 + 1
	blankTime = 1 << 62
	codeUint  = 0xcf
)

var blankFlow = wire.UintID(1 << 63)

// firstFlow is where flow ids begin: below it they would take fewer bytes.
const firstFlow = 1 << 32

// beginning is the packet time of all beginnings, 2020-09-13, in µs.
const beginning = 1_600_000_000_000_000

func (s *schedule) keep(e event, message []byte) error {
	if len(message) < timeAt+8 || message[flowAt-1] != codeUint || message[timeAt-1] != codeUint ||
		binary.BigEndian.Uint64(message[flowAt:]) != blankFlow.Uint() || binary.BigEndian.Uint64(message[timeAt:]) != blankTime {
		return errors.New("flow and time of a message are not where they should be")
	}
	e.from = uint32(len(s.bytes))
	s.bytes = append(s.bytes, message...)
	e.to = uint32(len(s.bytes))
	s.events = append(s.events, e)
	return nil
}

// id is the id of a flow in an instance.
func (s *schedule) id(instance int64, flow uint32) uint64 {
	return firstFlow + uint64(instance)*uint64(len(s.flows)) + uint64(flow)
}

// flowOf is the reverse of id.
func (s *schedule) flowOf(id uint64) (instance int64, flow uint32, ok bool) {
	if id < firstFlow {
		return 0, 0, false
	}
	n := uint64(len(s.flows))
	return int64((id - firstFlow) / n), uint32((id - firstFlow) % n), true
}

// append appends the message of e in that instance.
func (s *schedule) append(dst []byte, e *event, instance int64) []byte {
	at := len(dst)
	dst = append(dst, s.bytes[e.from:e.to]...)
	binary.BigEndian.PutUint64(dst[at+flowAt:], s.id(instance, e.flow))
	binary.BigEndian.PutUint64(dst[at+timeAt:], uint64(beginning+(instance+e.lap)*s.period+e.at))
	return dst
}

// labelled says whether the truth is known of every flow.
func (s *schedule) labelled() bool {
	return !slices.ContainsFunc(s.flows, func(f flow) bool { return f.truth == "" })
}
