package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
)

// A model that scores several flows faster at once is asked about several. They wait
// for each other until there are enough, or no more events are queued. Meanwhile their
// packets are stored. Labels are those of flows scored one by one.

const (
	// gatherBatches is for how many batches of events a flow may wait for others.
	gatherBatches = 8
	// gatherTime is for how much packet time a capture's flow may.
	gatherTime = 1_000_000 // µs
)

// gathered is about the flows that wait to be scored together.
type gathered struct {
	flows   int   // of all stages
	batches int   // of events that were handled since the first of them came
	until   int64 // the clock of the first of them must not move this far before they are scored
}

// gather has a flow's stage asked together with others.
func (s *Shard) gather(p pending, c *cascadeRun, stage int) {
	rec := s.table.At(p.flow)
	rec.Asked = true
	c.gathered[stage] = append(c.gathered[stage], p)
	if s.gathered.flows++; s.gathered.flows == 1 {
		s.gathered.until = rec.Clock().Now() + gatherTime
	}
	if c.runner.Gather(stage, s.table.Packets(p.flow)) {
		s.scoreStage(c, stage)
	}
}

// scoreGathered asks every stage that flows are gathered for, also about the flows
// that go on to it meanwhile.
func (s *Shard) scoreGathered() {
	s.gathered.batches = 0
	for i := 0; i < len(s.bundles) && s.gathered.flows > 0; i++ {
		if b := s.bundles[i]; b != nil {
			s.scoreCascade(b.packet)
			s.scoreCascade(b.headerless)
		}
	}
}

func (s *Shard) scoreCascade(c *cascadeRun) {
	if c == nil {
		return
	}
	for stage := range c.gathered {
		if len(c.gathered[stage]) > 0 {
			s.scoreStage(c, stage)
		}
	}
}

// scoreStage asks a stage about the flows gathered for it. Meanwhile others may be
// gathered, while a flow waits for a batched stage.
func (s *Shard) scoreStage(c *cascadeRun, stage int) {
	var flows [cascade.MaxBatch]pending
	var verdicts [cascade.MaxBatch]cascade.Verdict
	n := copy(flows[:], c.gathered[stage])
	c.gathered[stage] = c.gathered[stage][:0]
	s.gathered.flows -= n
	err := c.runner.ScoreGathered(stage, verdicts[:n])
	answered := time.Now()
	for i := range n {
		s.answered = answered
		s.handleGathered(flows[i], verdicts[i], err)
		s.answered = time.Time{}
	}
}

// handleGathered handles the answer of a gathered flow, and what came meanwhile.
func (s *Shard) handleGathered(p pending, v cascade.Verdict, err error) {
	rec := s.table.At(p.flow)
	rec.Asked = false
	if rec.State == flow.Scoring {
		s.table.SetState(p.flow, flow.NeedPackets)
		s.resume(p, v, err)
		return
	}
	if !s.handleVerdict(p, v, err) {
		return
	}
	s.askReadyStages(p.flow, rec, p.trigger.arrived)
	if rec.Ended && rec.State == flow.NeedPackets && !rec.Asked {
		s.finish(p.flow, trigger{reason: cascade.FlowEnd, packetTime: rec.Last, arrived: p.trigger.arrived})
	}
}

// scoreUnlessBusy asks about the flows gathered, unless events are queued that may
// bring others.
func (s *Shard) scoreUnlessBusy() {
	s.gathered.batches++
	switch {
	case s.gathered.flows == 0:
		s.gathered.batches = 0
	case s.gathered.batches == gatherBatches || s.Depth() == 0:
		s.scoreGathered()
	}
}

// answerFirst has a gathered flow scored before an event of the flow is handled, if
// what the event leads to depends on the answer: it comes after the flow's end or its
// idle timeout, out of order, from another source, or past a packet that is lost.
func (s *Shard) answerFirst(r flow.Ref, clock *flow.SourceClock, e *flow.Event) {
	if r == flow.None || !s.table.At(r).Asked {
		return
	}
	rec := s.table.At(r)
	c := s.cascadeOf(rec)
	held, last := uint64(len(s.table.Packets(r))), uint64(c.Stages[c.Last()].Packets)
	lost := e.Index() >= last && held < min(e.Index()-1, last)
	if lost || rec.Ended || rec.State == flow.Scoring || rec.Clock() != clock || e.Time < rec.Last || e.Time-rec.Last >= s.idleTimeout {
		s.scoreGathered()
	}
}
