package shard

import (
	"serveflow/sidecar/operate/telemetry"
	"sync/atomic"
	"time"
)

// waits is the longest recent waits of live flows for their decisions.
type waits struct {
	// The longest of the current period and of the previous one.
	now, before atomic.Int64
	turned      time.Time
}

// waitPeriod is the length of a period.
const waitPeriod = 5 * time.Second

// note records how long a flow has waited.
func (w *waits) note(d time.Duration) {
	if int64(d) > w.now.Load() {
		w.now.Store(int64(d))
	}
}

// turn begins a new period if the current one is over.
func (w *waits) turn(now time.Time) {
	if now.Sub(w.turned) >= waitPeriod {
		w.before.Store(w.now.Swap(0))
		w.turned = now
	}
}

// longest is the longest wait of both periods. It may be called by any goroutine.
func (w *waits) longest() time.Duration {
	return time.Duration(max(w.now.Load(), w.before.Load()))
}

// countWait records how long a live flow has waited since the arrival of what
// triggered its decision.
func (s *Shard) countWait(d time.Duration) {
	s.waits.note(d)
	if d > s.slow.admission.Deadline() {
		s.options.Metrics.Count(telemetry.FlowsOverdue, 1)
	}
}

// LongestWait is the longest time in the last seconds that a live flow has waited
// from the arrival of what triggered its decision.
func (s *Shard) LongestWait() time.Duration { return s.waits.longest() }
