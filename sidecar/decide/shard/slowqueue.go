package shard

import (
	"sync/atomic"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
)

// slowQueue is the flows that wait for a slow stage, the oldest first, with the
// load-shedding level.
//
// Fast stages go first: a live flow that needs more than its cascade's first stage
// waits, in Scoring, until there are no events. It waits no longer than the
// deadline, however many events there are.
type slowQueue struct {
	ring      [maxSlowQueue]pending
	first     int
	len       int
	admission admission
	reported  telemetry.Cell
	level     atomic.Int32 // of admission
	queued    atomic.Int64 // len
}

const (
	// maxSlowQueue is how many flows may wait.
	maxSlowQueue = 8192
	// fewQueued is up to how many queued flows count as no load: shedding them would
	// save nothing.
	fewQueued = 32
	// slowSlice is for how long slow stages are asked before events are handled
	// again.
	slowSlice = 200 * time.Microsecond
)

// enqueue queues a flow for its slow stage. It returns false if the queue is full.
func (l *slowQueue) enqueue(p pending) bool {
	if l.len == maxSlowQueue {
		return false
	}
	l.ring[(l.first+l.len)%maxSlowQueue] = p
	l.len++
	l.queued.Store(int64(l.len))
	return true
}

// dequeue takes the flow that has waited longest.
func (l *slowQueue) dequeue() pending {
	p := l.ring[l.first]
	l.first, l.len = (l.first+1)%maxSlowQueue, l.len-1
	l.queued.Store(int64(l.len))
	return p
}

// oldestWait is for how long the oldest flow has waited.
func (l *slowQueue) oldestWait(now time.Time) time.Duration {
	if l.len == 0 {
		return 0
	}
	return now.Sub(l.ring[l.first].trigger.asked)
}

// reportLoad publishes the level. It returns true if the load state has changed.
func (l *slowQueue) reportLoad() (telemetry.Cell, bool) {
	level := l.admission.Level()
	kind := telemetry.LoadSteady
	switch {
	case level == shedLevel:
		kind = telemetry.LoadShedding
	case level > 0:
		kind = telemetry.LoadRelaxed
	}
	l.level.Store(int32(level))
	changed := kind != l.reported
	l.reported = kind
	return kind, changed
}

// runSlow asks slow stages until events come or the slice is over.
func (s *Shard) runSlow() {
	for until := time.Now().Add(slowSlice); s.slow.len > 0; {
		if s.askOldestQueued().After(until) || s.Depth() > 0 {
			break
		}
	}
}

// adjustLoad handles queued flows that have waited long and adjusts the level. Past
// half the deadline slow stages are asked for a slice; past the deadline flows are
// shed if they are many, and else scored.
func (s *Shard) adjustLoad() {
	now, deadline := time.Now(), s.slow.admission.Deadline()
	wait := time.Duration(0)
	if s.slow.len > fewQueued {
		wait = min(s.slow.oldestWait(now), deadline)
	}
	for s.slow.len > 0 && s.slow.oldestWait(now) > deadline {
		if s.slow.len <= fewQueued {
			now = s.askOldestQueued()
			continue
		}
		p := s.slow.dequeue()
		s.table.SetState(p.flow, flow.NeedPackets)
		s.shed(p.flow, p.trigger)
	}
	for until := now.Add(slowSlice); s.slow.oldestWait(now) > deadline/2 && now.Before(until); {
		now = s.askOldestQueued()
	}
	s.slow.admission.Observe(now, max(wait, s.batchedWait()))
	if kind, changed := s.slow.reportLoad(); changed {
		s.options.Metrics.Count(kind, 1)
		if s.options.OnLoad != nil {
			s.options.OnLoad(kind)
		}
	}
}

// batchedWait is how long a flow would wait for the busiest batched stage.
func (s *Shard) batchedWait() (wait time.Duration) {
	for _, p := range &s.bundles {
		if p == nil {
			continue
		}
		p.served.Batchers.each(func(b *batcher) {
			if b.Depth() > fewQueued {
				wait = max(wait, b.EstimatedWait())
			}
		})
	}
	return wait
}

// Level is the shard's load-shedding level, see admission.
func (s *Shard) Level() int { return int(s.slow.level.Load()) }

// QueuedSlow is the number of flows that wait for a slow stage.
func (s *Shard) QueuedSlow() int { return int(s.slow.queued.Load()) }
