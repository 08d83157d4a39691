package shard

import (
	"sync/atomic"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
)

// A shard of the pool that serves passes each batch on to its shadow, once it has
// handled it and if it is not busy: the shadow gets what is left of the time, and the
// events in the same order. With them go the labels that the shard has given. A shadow
// that has no room is not waited for, except by captures, which may wait.

// following is what a shard knows of its shadow.
type following struct {
	shadow    atomic.Pointer[Shard] // nil: there is none
	room      chan struct{}         // the shadow has taken a batch of a capture
	fullSince time.Time             // when it last had no room for one; zero: it has
	patience  time.Duration         // of captures, while the shard drains
	handled   int                   // events of the batch that is handled
	sources   [2]followed           // live sources, captures
}

// followed is what is on its way to a shadow.
type followed struct {
	verdicts []flow.Verdict // not passed on yet
	lost     bool           // events were not passed on
}

const (
	// maxVerdicts is how many labels wait for a batch.
	maxVerdicts = 512
	// busyBatches is how many queued batches make a shard busy: a quarter of the queue,
	// well before a tap has to wait.
	busyBatches = QueueBatches / 4
)

// shadowPatience is how long captures wait for a shadow that takes nothing. Tests change it.
var shadowPatience = 5 * time.Second

func newFollowing() following { return following{room: make(chan struct{}, 1)} }

// setShadow has another shard, or none, decide the shard's flows again.
func (s *Shard) setShadow(to *Shard) {
	s.following.shadow.Store(to)
	s.wake()
}

// wake has the shard look again whether captures may go on.
func (s *Shard) wake() {
	select {
	case s.following.room <- struct{}{}:
	default:
	}
}

// busy reports whether live flows may soon have to wait. Any goroutine may call it.
func (s *Shard) busy() bool {
	return len(s.in) >= busyBatches || s.slow.queued.Load() > fewQueued || s.slow.level.Load() > 0
}

// sourceKind is the place of a source in following.sources and shadowing.epochs.
func sourceKind(s *flow.Source) int {
	if s.Capture {
		return 1
	}
	return 0
}

// inputOf is the channel of a kind of source.
func (s *Shard) inputOf(kind int) chan<- *flow.Batch {
	if kind == 1 {
		return s.captures
	}
	return s.in
}

// holdsCaptures reports whether captures have to wait for the shadow.
func (s *Shard) holdsCaptures() bool {
	to := s.following.shadow.Load()
	if to == nil || len(to.captures) < cap(to.captures) {
		s.following.fullSince = time.Time{}
		return s.options.Leader != nil && s.options.Leader.busy()
	}
	if now := time.Now(); s.following.fullSince.IsZero() {
		s.following.fullSince = now
	}
	return time.Since(s.following.fullSince) < shadowPatience
}

// pass passes a batch on that was handled, or releases it.
func (s *Shard) pass(b *flow.Batch) {
	s.following.handled = 0
	to := s.following.shadow.Load()
	if to == nil {
		b.Release()
		return
	}
	kind, patience := sourceKind(b.Source), time.Duration(0)
	if kind == 1 {
		patience = s.following.patience
	}
	if kind == 0 && s.busy() || !s.passTo(to, kind, b, patience) {
		s.following.patience = 0
		f := &s.following.sources[kind]
		f.lost = true
		for i := range f.verdicts {
			f.verdicts[i].After = 0 // the next batch begins later than these
		}
		to.options.Agreement.Shed(len(b.Events))
		b.Release()
	}
}

// passTo passes a batch on with the verdicts that wait for one. It returns false if the
// shadow has had no room for so long.
func (s *Shard) passTo(to *Shard, kind int, b *flow.Batch, patience time.Duration) bool {
	f := &s.following.sources[kind]
	b.Verdicts, b.Lost = append(b.Verdicts, f.verdicts...), f.lost && b.Source != nil
	lost := f.lost && b.Source == nil // which the next events tell
	if b.Barrier != nil {
		b.Barrier = b.Barrier.Again()
	}
	if !send(to.inputOf(kind), b, patience) {
		return false
	}
	clear(f.verdicts)
	f.verdicts, f.lost = f.verdicts[:0], lost
	return true
}

// send sends a batch, and returns false if there was no room for so long.
func send(in chan<- *flow.Batch, b *flow.Batch, patience time.Duration) bool {
	select {
	case in <- b:
		return true
	default:
	}
	if patience == 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case in <- b:
		return true
	case <-timer.C:
		return false
	}
}

// passVerdicts passes the verdicts on that wait although no batch has come.
func (s *Shard) passVerdicts() {
	to := s.following.shadow.Load()
	for kind := range s.following.sources {
		if f := &s.following.sources[kind]; to != nil && len(f.verdicts) > 0 && 2*len(to.inputOf(kind)) <= cap(to.inputOf(kind)) {
			if b := flow.NewBatch(nil, time.Now()); !s.passTo(to, kind, b, 0) {
				b.Release()
			}
		}
	}
}

// passLast passes on what is left when the shard ends: the shadow is still there, and
// nobody waits for labels any more.
func (s *Shard) passLast() {
	to := s.following.shadow.Load()
	for kind := range s.following.sources {
		if to != nil && len(s.following.sources[kind].verdicts) > 0 {
			s.passTo(to, kind, flow.NewBatch(nil, time.Now()), s.following.patience)
		}
	}
}

// noteVerdict keeps a label for the shadow.
func (s *Shard) noteVerdict(rec *flow.Record, label string, byCascade bool) {
	to := s.following.shadow.Load()
	if to == nil {
		return
	}
	f := &s.following.sources[sourceKind(rec.Clock().Source)]
	if len(f.verdicts) >= maxVerdicts {
		if byCascade {
			to.options.Agreement.Count(label, telemetry.ServedOnly)
		}
		return
	}
	f.verdicts = append(f.verdicts, flow.Verdict{Key: rec.Key, First: rec.First, Label: label, Decided: byCascade, After: s.following.handled})
}
