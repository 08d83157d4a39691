package shard

import (
	"serveflow/sidecar/operate/telemetry"
	"sync/atomic"
	"time"
)

// waits is the longest that live flows have waited for their decisions of late.
type waits struct {
	// Of the period under way, and of the one before.
	now, before atomic.Int64
	turned      time.Time
}

// waitPeriod is how long a period is.
const waitPeriod = 5 * time.Second

// note notes that a flow has waited for so long.
func (w *waits) note(d time.Duration) {
	if int64(d) > w.now.Load() {
		w.now.Store(int64(d))
	}
}

// turn begins a period if it is time.
func (w *waits) turn(now time.Time) {
	if now.Sub(w.turned) >= waitPeriod {
		w.before.Store(w.now.Swap(0))
		w.turned = now
	}
}

// longest is that of both periods. It may be called by any goroutine.
func (w *waits) longest() time.Duration {
	return time.Duration(max(w.now.Load(), w.before.Load()))
}

// countWait counts how long a live flow has waited since what led to its decision
// arrived.
func (s *Shard) countWait(d time.Duration) {
	s.waits.note(d)
	if d > s.slow.admission.Deadline() {
		s.options.Metrics.Count(telemetry.FlowsOverdue, 1)
	}
}

// LongestWait is the longest that a live flow has waited for its decision in the last
// seconds, since what led to the decision arrived.
func (s *Shard) LongestWait() time.Duration { return s.waits.longest() }
