package bench

import (
	"fmt"
	"sync"
	"time"

	"serveflow/models/evaluate"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/tap/wire"
)

// labels is what came back: whether every flow got one label, which, and when.
type labels struct {
	schedule *schedule
	due      func(packetTime int64) time.Duration // nil: flat out

	mu        sync.Mutex
	instances map[int64]*instance
	first     []wire.Label // the first label of each flow
	count     uint64
	twice     uint64 // labels for flows that had one, or that were never sent
	differing uint64 // labels unlike the first of the same flow
	from      time.Duration
	latency   histogram // of those that fell due from then on
}

// instance is which of its flows have a label.
type instance struct {
	has  []uint64
	left int
}

func newLabels(s *schedule) *labels {
	return &labels{schedule: s, instances: map[int64]*instance{}, first: make([]wire.Label, len(s.flows)), from: never}
}

const never = 1<<63 - 1

// read takes labels until SYNCED or an error.
func (l *labels) read(in *wire.Decoder, started time.Time) error {
	var m wire.Message
	for {
		if err := in.Next(&m); err != nil {
			return err
		}
		switch m.Kind {
		case wire.KindSynced:
			return nil
		case wire.KindLabel:
			l.take(&m.Label, time.Since(started))
		case wire.KindError:
			return fmt.Errorf("the sidecar says: %s", m.Text)
		}
	}
}

func (l *labels) take(label *wire.Label, at time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number, f, ok := l.schedule.flowOf(label.Flow.Uint())
	if !ok || !l.mark(number, f) {
		l.twice++
		return
	}
	l.count++
	if first := &l.first[f]; first.Reason == "" {
		*first = *label
	} else if first.Label != label.Label {
		l.differing++
	}
	if l.due == nil {
		return
	}
	if trigger, ok := l.schedule.flows[f].trigger(label); ok {
		if due := l.due(number*l.schedule.period + trigger); due >= l.from {
			l.latency.add(at - due)
		}
	}
}

// mark notes that a flow has its label; false if it had one.
func (l *labels) mark(number int64, f uint32) bool {
	i := l.instances[number]
	if i == nil {
		n := len(l.schedule.flows)
		i = &instance{has: make([]uint64, (n+63)/64), left: n}
		l.instances[number] = i
	}
	bit := uint64(1) << (f % 64)
	if i.left == 0 || i.has[f/64]&bit != 0 {
		return false
	}
	i.has[f/64] |= bit
	if i.left--; i.left == 0 {
		i.has = nil // all of them
	}
	return true
}

// has says whether a flow has its label.
func (l *labels) has(number int64, f uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.instances[number]
	return i != nil && (i.left == 0 || i.has[f/64]>>(f%64)&1 != 0)
}

// measure counts the latency of what is due from now on.
func (l *labels) measure(from time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = from
}

// measured is from when on latency counts.
func (l *labels) measured() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from
}

// missing is how many flows have no label of so many instances.
func (l *labels) missing(instances int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return instances*int64(len(l.schedule.flows)) - int64(l.count)
}

// trigger is when the packet was due that led to a label. Of a flow that went
// quiet it is not known: another's packet moved the clock.
func (f *flow) trigger(label *wire.Label) (int64, bool) {
	switch label.Reason {
	case cascade.FlowEnd.String():
		return f.end, f.end > 0
	case cascade.Accepted.String(), cascade.LastStage.String():
		if n := label.Packets; n >= 1 && n <= len(f.packets) {
			return f.packets[n-1], true
		}
	}
	return 0, false
}

// scores compares the first labels with the truth, over the flows that the
// bundle serves.
func (l *labels) scores() (scores evaluate.Scores, flows int) {
	var truth, given []string
	for i := range l.first {
		if r := l.first[i].Reason; r != "" && r != cascade.Unserved.String() {
			truth, given = append(truth, l.schedule.flows[i].truth), append(given, l.first[i].Label)
		}
	}
	return evaluate.Score(truth, given), len(truth)
}
