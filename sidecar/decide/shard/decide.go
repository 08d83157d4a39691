package shard

import (
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

// outcome is the result for a flow: its class, and which stage gave it from how
// many packets.
type outcome struct {
	class         int // cascade.Unknown if none
	score, margin float32
	stage         int // -1: no model was asked
	packets       int
}

var noLabel = outcome{class: cascade.Unknown, stage: -1}

// trigger is why a flow's stage is asked.
type trigger struct {
	reason     cascade.Reason
	packetTime int64     // packet time of what led to it
	arrived    time.Time // when that came in
	asked      time.Time // when the stage was asked; zero: no stage was
}

// pending is a flow that waits for a stage's answer.
type pending struct {
	flow    flow.Ref
	packets int // that the flow had when it was asked
	trigger trigger
}

func (s *Shard) cascadeOf(rec *flow.Record) *cascadeRun {
	if p := s.bundles[rec.Bundle]; rec.Headerless {
		return p.headerless
	} else {
		return p.packet
	}
}

// askReadyStages asks the stages that have the packets they need, one after the
// other, until one accepts, one answers later, or more packets are needed. Only the
// last stage is asked while no packet has carried payload.
func (s *Shard) askReadyStages(r flow.Ref, rec *flow.Record, arrived time.Time) {
	c := s.cascadeOf(rec)
	have := s.table.Packets(r)
	for need := c.Stages[rec.Stage].Packets; len(have) >= need; need = c.Stages[rec.Stage].Packets {
		if rec.Silent(need) && int(rec.Stage) < c.Last() {
			rec.Stage++
			continue
		}
		if !s.askStage(r, rec, c, trigger{reason: cascade.Accepted, packetTime: have[need-1].Time, arrived: arrived}) {
			return
		}
	}
}

// finish decides a flow that gets no more packets: the last stage is asked about
// the packets there are.
func (s *Shard) finish(r flow.Ref, t trigger) {
	rec := s.table.At(r)
	c := s.cascadeOf(rec)
	if s.missedEvents(r, rec) {
		t.reason = cascade.Shed
		s.decide(r, noLabel, t)
		return
	}
	if len(s.table.Packets(r)) == 0 { // its first packet could not be read
		t.reason = cascade.Unparsed
		s.decide(r, noLabel, t)
		return
	}
	if rec.Silent(len(s.table.Packets(r))) {
		t.reason = cascade.Silent
		s.decide(r, noLabel, t)
		return
	}
	rec.Stage = uint8(c.Last())
	s.askStage(r, rec, c, t)
	if rec.Asked {
		s.table.SetState(r, flow.Scoring) // no timer has to see to it any more
	}
}

// askStage asks the flow's stage and handles the answer. It returns true if the
// answer is there and the next stage has to be asked.
func (s *Shard) askStage(r flow.Ref, rec *flow.Record, c *cascadeRun, t trigger) bool {
	t.asked = time.Now()
	packets := s.table.Packets(r)
	p := pending{r, len(packets), t}
	if c.Stages[rec.Stage].Batched {
		s.askBatcher(p, rec, c)
		return false
	}
	if rec.Stage > 0 && !rec.Clock().Source.Capture {
		if s.slow.enqueue(p) {
			s.table.SetState(r, flow.Scoring)
		} else {
			s.shed(r, t)
		}
		return false
	}
	return s.score(p, rec, c)
}

// score asks the flow's stage of trees: at once, or together with other flows where
// that is faster. It returns true if the answer is there and the next stage has to be
// asked.
func (s *Shard) score(p pending, rec *flow.Record, c *cascadeRun) bool {
	stage := int(rec.Stage)
	if c.runner.BatchSize(stage) > 1 {
		s.gather(p, c, stage)
		return false
	}
	if rec.State == flow.Scoring {
		s.table.SetState(p.flow, flow.NeedPackets)
	}
	v, err := c.runner.Score(stage, s.table.Packets(p.flow))
	return s.handleVerdict(p, v, err)
}

// handleVerdict handles the answer of the flow's stage. It returns true if the next
// stage has to be asked.
func (s *Shard) handleVerdict(p pending, v cascade.Verdict, err error) bool {
	rec := s.table.At(p.flow)
	c := s.cascadeOf(rec)
	if err != nil {
		s.options.OnError(err)
		v = cascade.Verdict{Class: cascade.Unknown}
	}
	stage := int(rec.Stage)
	o := outcome{v.Class, v.Score, v.Margin, stage, min(p.packets, c.Stages[stage].Packets)}
	last := stage == c.Last()
	if last && p.trigger.reason == cascade.Accepted {
		p.trigger.reason = cascade.LastStage
	}
	switch {
	case v.Accepted:
	case last && err != nil:
		p.trigger.reason = cascade.Unanswered
		s.giveUp(p.flow, p.trigger)
		return false
	case last:
		o.class = cascade.Unknown
	case err == nil && !rec.Clock().Source.Capture && s.overloaded(c, stage+1) && s.slow.admission.acceptsRelaxed(&c.Stages[stage], v):
		p.trigger.reason = cascade.Relaxed
	default:
		if err == nil {
			setBest(rec, rec.Stage, v)
		}
		rec.Stage++
		return true
	}
	s.decide(p.flow, o, p.trigger)
	return false
}

// overloaded reports whether a stage has a queue long enough that thresholds are
// relaxed to keep flows from it.
func (s *Shard) overloaded(c *cascadeRun, stage int) bool {
	if b := c.batchers[stage]; b != nil {
		return b.Depth() > fewQueued
	}
	return s.slow.len > fewQueued
}

// askBatcher asks a batched stage, whose answer handleBatchedAnswer takes.
func (s *Shard) askBatcher(p pending, rec *flow.Record, c *cascadeRun) {
	b := c.batchers[rec.Stage]
	capture := rec.Clock().Source.Capture
	if !capture && b.EstimatedWait() > s.slow.admission.Deadline() {
		s.shed(p.flow, p.trigger)
		return
	}
	var j *cascade.Job[pending]
	for j == nil {
		select {
		case j = <-b.Free():
			continue
		default:
		}
		if !capture {
			s.shed(p.flow, p.trigger)
			return
		}
		select {
		case j = <-b.Free():
		case done := <-s.batchedAnswers:
			s.handleBatchedAnswer(done)
		}
	}
	s.table.SetState(p.flow, flow.Scoring)
	var deadline time.Time
	if !capture {
		deadline = p.trigger.asked.Add(s.slow.admission.Deadline())
	}
	b.Ask(j, p, s.table.Packets(p.flow), deadline, s.batchedAnswers)
	// A capture's label must not depend on how fast a model is, so no further
	// packets are handled before its answer.
	for capture && int(rec.Stage) < c.Last() && rec.State == flow.Scoring {
		s.handleBatchedAnswer(<-s.batchedAnswers)
	}
}

// handleBatchedAnswer takes the answer of a batched stage.
func (s *Shard) handleBatchedAnswer(j *cascade.Job[pending]) {
	p, v, err := j.Tag, j.Verdict, j.Err
	j.Release()
	s.table.SetState(p.flow, flow.NeedPackets)
	s.resume(p, v, err)
	s.scoreGathered()
}

// askOldestQueued asks the slow stages about the flows that have waited longest: one,
// or as many as its stage is best asked about at once.
func (s *Shard) askOldestQueued() time.Time {
	now := time.Now()
	for n, batch := 0, 1; n < batch && s.slow.len > 0; n++ {
		p := s.slow.dequeue()
		p.trigger.asked, p.packets = now, len(s.table.Packets(p.flow))
		rec := s.table.At(p.flow)
		c := s.cascadeOf(rec)
		batch = c.runner.BatchSize(int(rec.Stage))
		if s.score(p, rec, c) {
			s.askNextStage(p)
		}
	}
	s.scoreGathered()
	return now
}

// resume handles an answer that a flow had to wait for.
func (s *Shard) resume(p pending, v cascade.Verdict, err error) {
	if s.handleVerdict(p, v, err) {
		s.askNextStage(p)
	}
}

// askNextStage asks the next stage about a flow that had to wait for an answer.
func (s *Shard) askNextStage(p pending) {
	if rec := s.table.At(p.flow); rec.Ended {
		s.finish(p.flow, trigger{reason: cascade.FlowEnd, packetTime: rec.Last, arrived: p.trigger.arrived})
	} else {
		s.askReadyStages(p.flow, rec, p.trigger.arrived)
	}
}

// shed decides a flow without its slow stage, for which there is no time.
func (s *Shard) shed(r flow.Ref, t trigger) {
	s.slow.admission.Shed(time.Now())
	t.reason = cascade.Shed
	s.giveUp(r, t)
}

// giveUp decides a flow with the best label it has, without its slow stage. A flow
// without one ended before the first stage had all its packets: then the first
// stage is asked about the packets there are.
func (s *Shard) giveUp(r flow.Ref, t trigger) {
	rec := s.table.At(r)
	if c := s.cascadeOf(rec); rec.Best == -1 && !c.Stages[0].Batched {
		if v, err := c.runner.Score(0, s.table.Packets(r)); err != nil {
			s.options.OnError(err)
		} else {
			setBest(rec, 0, v)
		}
	}
	s.decideBestSoFar(r, t)
}

// setBest stores a stage's answer as the flow's best label so far.
func setBest(rec *flow.Record, stage uint8, v cascade.Verdict) {
	rec.Best, rec.BestStage, rec.Score, rec.Margin = int16(v.Class), stage, v.Score, v.Margin
}

// decideBestSoFar decides a flow with the best label so far, if there is one, and
// asks no stage again.
func (s *Shard) decideBestSoFar(r flow.Ref, t trigger) {
	o := noLabel
	if rec := s.table.At(r); rec.Best != -1 {
		stage := int(rec.BestStage)
		packets := min(len(s.table.Packets(r)), s.cascadeOf(rec).Stages[stage].Packets)
		o = outcome{int(rec.Best), rec.Score, rec.Margin, stage, packets}
	}
	s.decide(r, o, t)
}

// decide gives a flow its decision, once: to the log and to the tap.
func (s *Shard) decide(r flow.Ref, o outcome, t trigger) {
	rec, now := s.table.At(r), s.answered
	if now.IsZero() {
		now = time.Now()
	}
	if t.asked.IsZero() {
		t.asked = now
	} else {
		s.options.Metrics.Wait(telemetry.WaitModel, now.Sub(t.asked))
	}
	clock, p := rec.Clock(), s.bundles[rec.Bundle]
	p.undecided--
	if s.missedEvents(r, rec) {
		o, t.reason = noLabel, cascade.Shed
	}
	byCascade := t.reason.ByCascade()
	latency := clock.Latency(rec, t.packetTime, s.wallTime(now))
	label, services, stage, number := bundle.UnknownLabel, "", "", -1
	if o.stage >= 0 {
		c := s.cascadeOf(rec)
		c.count(o, t.reason, s.table.Packets(r))
		stage, number = c.Stages[o.stage].Name, c.firstStage+o.stage
		if o.class >= 0 {
			label, services = c.Labels[o.class], p.agreeing[o.class]
			if s.options.Suppress.Match(label, &rec.Tuple, o.score) {
				label, services, o.class, t.reason = bundle.UnknownLabel, "", cascade.Unknown, cascade.Suppressed
			}
		}
	}
	s.table.SetState(r, flow.Decided)
	s.compare(r, rec, label, byCascade)
	s.records = append(s.records, decision.Record{
		Start: rec.First, Sensor: clock.Source.Sensor, Flow: rec.Key.ID, Tuple: rec.Tuple,
		Label: label, Score: o.score, Margin: o.margin, Stage: stage, Packets: o.packets,
		LatencyUS: latency, Model: p.model, Reason: t.reason.String(), Services: services, Compute: now.Sub(t.asked),
	})
	if to := rec.ReplyTo; to != nil && s.options.Leader == nil {
		rec.ReplyTo = nil
		if s.replyTo != to {
			s.flushReplies()
			s.replyTo = to
		}
		s.replies = append(s.replies, wire.Label{
			Flow: rec.Key.ID, Label: label, Score: o.score, Stage: stage, Packets: o.packets,
			LatencyUS: latency, Model: p.model, Reason: t.reason.String(), Services: services, Margin: o.margin,
		})
	}
	if !clock.Source.Capture {
		s.countWait(now.Sub(t.arrived))
	}
	p.decided.Decision(number, int(t.reason), o.class, time.Duration(latency)*time.Microsecond, now.Sub(t.arrived))
}
