package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
)

// Fast stages go first: a live flow that wants more than its cascade's first
// stage waits, pending, until no events do.

// later is the flows that wait for a slow stage of trees, the oldest first.
type later struct {
	tasks [maxLater]task
	first int
	len   int
}

// task is a flow that waits, and what its stage is to be told.
type task struct {
	flow    flow.Ref
	why     cascade.Reason
	at      int64
	arrived time.Time
	since   time.Time
}

const (
	// maxLater is how many flows may wait.
	maxLater = 8192
	// few is how many flows are no load: they wait for the machine, which was
	// busy with something else, and to shed them would not help it.
	few = 32
	// slice is for how long slow stages are asked before there is a look at
	// the events.
	slice = 200 * time.Microsecond
)

func (l *later) push(t task) { l.tasks[(l.first+l.len)%maxLater] = t; l.len++ }

func (l *later) pop() task {
	t := l.tasks[l.first]
	l.first, l.len = (l.first+1)%maxLater, l.len-1
	return t
}

// postpone has a flow's stage asked later, or not at all if too many wait.
func (s *Shard) postpone(r flow.Ref, why cascade.Reason, at int64) {
	if s.later.len == maxLater {
		s.shed(r, at)
		return
	}
	s.table.SetState(r, flow.Pending)
	s.later.push(task{r, why, at, s.arrived, s.asked})
	s.waiting.Store(int64(s.later.len))
}

// shed decides a flow with the best label it has: there is no time for more.
// If it has none, it ended before the first stage had all its packets; then that
// is asked about those there are, as the last would have been.
func (s *Shard) shed(r flow.Ref, at int64) {
	s.admission.Shed(time.Now())
	rec := s.table.At(r)
	if c := s.course(rec); rec.Guess == -1 && !c.Stages[0].Batched {
		if v, err := c.runner.Score(0, s.table.Packets(r)); err != nil {
			s.options.OnError(err)
		} else {
			keep(rec, 0, v)
		}
	}
	s.guess(r, cascade.Shed, at)
}

// spares says whether a stage has so much to do that flows are better kept from
// it: thresholds are loosened for no flow that could be asked about soon.
func (s *Shard) spares(c *course, stage int) bool {
	if b := c.batchers[stage]; b != nil {
		return b.Depth() > few
	}
	return s.later.len > few
}

// catchUp asks slow stages until events come or the slice is over.
func (s *Shard) catchUp() {
	for until := time.Now().Add(slice); s.later.len > 0; {
		s.askNext()
		if len(s.in) > 0 || s.asked.After(until) {
			break
		}
	}
}

// askNext asks the stage of the flow that has waited longest.
func (s *Shard) askNext() {
	t := s.later.pop()
	s.waiting.Store(int64(s.later.len))
	s.arrived, s.asked = t.arrived, time.Now()
	s.table.SetState(t.flow, flow.Waiting)
	rec := s.table.At(t.flow)
	packets := s.table.Packets(t.flow)
	v, err := s.course(rec).runner.Score(int(rec.Stage), packets)
	s.resume(t.flow, v, err, len(packets), t.why, t.at)
}

// bend looks at how long flows wait, spares slow stages by it, and sheds the
// flows that have waited too long.
func (s *Shard) bend() {
	now, wait := time.Now(), time.Duration(0)
	for s.later.len > few {
		oldest := &s.later.tasks[s.later.first]
		waited := now.Sub(oldest.since)
		if waited <= s.admission.Deadline() {
			wait = max(wait, waited)
			break
		}
		t := s.later.pop()
		s.arrived, s.asked = t.arrived, now
		s.table.SetState(t.flow, flow.Waiting)
		s.shed(t.flow, t.at)
	}
	s.waiting.Store(int64(s.later.len))
	s.admission.Observe(now, max(wait, s.batched()))
	s.tell()
}

// batched is how long a flow would wait for the busiest batched stage.
func (s *Shard) batched() (wait time.Duration) {
	for _, p := range &s.shares {
		if p == nil {
			continue
		}
		p.service.Batchers.each(func(b *cascade.Batcher) {
			if b.Depth() > few {
				wait = max(wait, b.Wait())
			}
		})
	}
	return wait
}

// tell counts and reports when the shard begins to bend more or less.
func (s *Shard) tell() {
	level := s.admission.Level()
	load := telemetry.LoadSteady
	switch {
	case level == cascade.Shedding:
		load = telemetry.LoadShedding
	case level > 0:
		load = telemetry.LoadLoosened
	}
	s.level.Store(int32(level))
	if load != s.load {
		s.load = load
		s.options.Metrics.LoadBecame(load)
		if s.options.OnLoad != nil {
			s.options.OnLoad(load)
		}
	}
}

// Level is how far the shard spares slow stages, see cascade.Admission.
func (s *Shard) Level() int { return int(s.level.Load()) }

// Waiting is the number of flows that wait for a slow stage of trees.
func (s *Shard) Waiting() int { return int(s.waiting.Load()) }
