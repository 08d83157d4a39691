package shard

import (
	"sync/atomic"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
)

// Fast stages go first: a live flow that needs more than its cascade's first
// stage waits, pending, until there are no events. It waits no longer than the
// deadline, however many events there are.

// load is the flows that wait for a slow stage of trees, the oldest first, and
// how far such stages are spared.
type load struct {
	tasks     [maxSlow]pending
	first     int
	len       int
	admission admission
	reported  telemetry.Load
	level     atomic.Int32 // of admission
	waiting   atomic.Int64 // len
}

const (
	// maxSlow is how many flows may wait.
	maxSlow = 8192
	// few is how many flows are no load: they wait for the machine, which was
	// busy with something else, and to shed them would not help it.
	few = 32
	// slice is for how long slow stages are asked before there is a look at
	// the events.
	slice = 200 * time.Microsecond
)

// enqueue has a flow's stage asked later. It returns false if too many wait.
func (l *load) enqueue(p pending) bool {
	if l.len == maxSlow {
		return false
	}
	l.tasks[(l.first+l.len)%maxSlow] = p
	l.len++
	l.waiting.Store(int64(l.len))
	return true
}

// dequeue takes the flow that has waited longest.
func (l *load) dequeue() pending {
	p := l.tasks[l.first]
	l.first, l.len = (l.first+1)%maxSlow, l.len-1
	l.waiting.Store(int64(l.len))
	return p
}

// waited is for how long the oldest flow has.
func (l *load) waited(now time.Time) time.Duration {
	if l.len == 0 {
		return 0
	}
	return now.Sub(l.tasks[l.first].trigger.asked)
}

// report notes the level. It returns true if the kind of load has changed.
func (l *load) report() (telemetry.Load, bool) {
	level := l.admission.Level()
	kind := telemetry.LoadSteady
	switch {
	case level == shedding:
		kind = telemetry.LoadShedding
	case level > 0:
		kind = telemetry.LoadLoosened
	}
	l.level.Store(int32(level))
	changed := kind != l.reported
	l.reported = kind
	return kind, changed
}

// catchUp asks slow stages until events come or the slice is over.
func (s *Shard) catchUp() {
	for until := time.Now().Add(slice); s.load.len > 0; {
		if s.askNext().After(until) || s.Depth() > 0 {
			break
		}
	}
}

// adjustLoad sees to the flows that have waited long, whatever else there is to
// do, and to the level: past half the deadline they are asked about, for a slice
// at a time; past the deadline they are shed if they are many, and else asked
// about.
func (s *Shard) adjustLoad() {
	now, deadline := time.Now(), s.load.admission.Deadline()
	wait := time.Duration(0)
	if s.load.len > few {
		wait = min(s.load.waited(now), deadline)
	}
	for s.load.len > 0 && s.load.waited(now) > deadline {
		if s.load.len <= few {
			now = s.askNext()
			continue
		}
		p := s.load.dequeue()
		s.table.SetState(p.flow, flow.Waiting)
		s.shed(p.flow, p.trigger)
	}
	for until := now.Add(slice); s.load.waited(now) > deadline/2 && now.Before(until); {
		now = s.askNext()
	}
	s.load.admission.Observe(now, max(wait, s.batched()))
	if kind, changed := s.load.report(); changed {
		s.options.Metrics.LoadBecame(kind)
		if s.options.OnLoad != nil {
			s.options.OnLoad(kind)
		}
	}
}

// batched is how long a flow would wait for the busiest batched stage.
func (s *Shard) batched() (wait time.Duration) {
	for _, p := range &s.shares {
		if p == nil {
			continue
		}
		p.service.Batchers.each(func(b *batcher) {
			if b.Depth() > few {
				wait = max(wait, b.Wait())
			}
		})
	}
	return wait
}

// Level is how far the shard spares slow stages, see admission.
func (s *Shard) Level() int { return int(s.load.level.Load()) }

// Waiting is the number of flows that wait for a slow stage of trees.
func (s *Shard) Waiting() int { return int(s.load.waiting.Load()) }
