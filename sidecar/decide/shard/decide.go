package shard

import (
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/sink"
	"serveflow/sidecar/tap/wire"
)

// outcome is what a flow is told: its class, and which stage said so on how
// many packets.
type outcome struct {
	class         int // cascade.Unknown if none
	score, margin float32
	stage         int // -1: no model was asked
	packets       int
}

var none = outcome{class: cascade.Unknown, stage: -1}

// trigger is why a flow's stage is asked.
type trigger struct {
	reason  cascade.Reason
	at      int64     // packet time of what led to it
	arrived time.Time // when that came in
	asked   time.Time // when the stage was asked; zero: no stage was
}

// pending is a flow that waits for a stage's answer.
type pending struct {
	flow    flow.Ref
	packets int // that the flow had when it was asked
	trigger trigger
}

func (s *Shard) runOf(rec *flow.Record) *cascadeRun {
	if p := s.shares[rec.Bundle]; rec.Meta {
		return p.meta
	} else {
		return p.packet
	}
}

// step asks the stages that have the packets they need, one after the other,
// until one accepts, one answers later, or more packets are needed. Only the last
// stage is asked about packets that carry no payload: silence is no evidence.
func (s *Shard) step(r flow.Ref, rec *flow.Record, arrived time.Time) {
	c := s.runOf(rec)
	have := s.table.Packets(r)
	for need := c.Stages[rec.Stage].Packets; len(have) >= need; need = c.Stages[rec.Stage].Packets {
		if rec.Silent(need) && int(rec.Stage) < c.Last() {
			rec.Stage++
			continue
		}
		if !s.ask(r, rec, c, trigger{reason: cascade.Accepted, at: have[need-1].Time, arrived: arrived}) {
			return
		}
	}
}

// finish decides a flow that will get no more packets, on what there is: the
// last stage has the word.
func (s *Shard) finish(r flow.Ref, t trigger) {
	rec := s.table.At(r)
	c := s.runOf(rec)
	if len(s.table.Packets(r)) == 0 { // its first packet could not be read
		t.reason = cascade.Unparsed
		s.decide(r, none, t)
		return
	}
	if rec.Silent(len(s.table.Packets(r))) {
		t.reason = cascade.Silent
		s.decide(r, none, t)
		return
	}
	rec.Stage = uint8(c.Last())
	s.ask(r, rec, c, t)
}

// ask asks the flow's stage and deals with the answer. It returns true if the
// answer is there and the flow has to go on to the next stage.
func (s *Shard) ask(r flow.Ref, rec *flow.Record, c *cascadeRun, t trigger) bool {
	t.asked = time.Now()
	packets := s.table.Packets(r)
	p := pending{r, len(packets), t}
	if c.Stages[rec.Stage].Batched {
		s.askBatcher(p, rec, c)
		return false
	}
	if rec.Stage > 0 && !rec.Lane().Source.Capture {
		if s.load.enqueue(p) {
			s.table.SetState(r, flow.Pending)
		} else {
			s.shed(r, t)
		}
		return false
	}
	v, err := c.runner.Score(int(rec.Stage), packets)
	return s.answer(p, v, err)
}

// answer deals with what the flow's stage said of it. It returns true if the flow
// has to go on to the next stage.
func (s *Shard) answer(p pending, v cascade.Verdict, err error) bool {
	rec := s.table.At(p.flow)
	c := s.runOf(rec)
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
	case last:
		o.class = cascade.Unknown
	case err == nil && !rec.Lane().Source.Capture && s.overloaded(c, stage+1) && s.load.admission.suffices(&c.Stages[stage], v):
		p.trigger.reason = cascade.Relaxed
	default:
		if err == nil {
			keep(rec, rec.Stage, v)
		}
		rec.Stage++
		return true
	}
	s.decide(p.flow, o, p.trigger)
	return false
}

// overloaded says whether a stage has so much to do that flows are better kept
// from it: thresholds are loosened for no flow that could be asked about soon.
func (s *Shard) overloaded(c *cascadeRun, stage int) bool {
	if b := c.batchers[stage]; b != nil {
		return b.Depth() > few
	}
	return s.load.len > few
}

// askBatcher asks a batched stage, which answers through complete.
func (s *Shard) askBatcher(p pending, rec *flow.Record, c *cascadeRun) {
	b := c.batchers[rec.Stage]
	capture := rec.Lane().Source.Capture
	if !capture && b.Wait() > s.load.admission.Deadline() {
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
		case done := <-s.answered:
			s.complete(done)
		}
	}
	s.table.SetState(p.flow, flow.Pending)
	b.Ask(j, p, s.table.Packets(p.flow), s.answered)
	// What a capture's flow is told must not depend on how fast a model
	// was: packets that come meanwhile would make it so.
	for capture && int(rec.Stage) < c.Last() && rec.State == flow.Pending {
		s.complete(<-s.answered)
	}
}

// complete takes the answer of a batched stage.
func (s *Shard) complete(j *cascade.Job[pending]) {
	p, v, err := j.Note, j.Verdict, j.Err
	j.Release()
	s.table.SetState(p.flow, flow.Waiting)
	s.resume(p, v, err)
}

// askNext asks the slow stage of trees about the flow that has waited longest.
func (s *Shard) askNext() time.Time {
	p := s.load.dequeue()
	p.trigger.asked = time.Now()
	s.table.SetState(p.flow, flow.Waiting)
	rec := s.table.At(p.flow)
	packets := s.table.Packets(p.flow)
	p.packets = len(packets)
	v, err := s.runOf(rec).runner.Score(int(rec.Stage), packets)
	s.resume(p, v, err)
	return p.trigger.asked
}

// resume deals with an answer that a flow had to wait for.
func (s *Shard) resume(p pending, v cascade.Verdict, err error) {
	if !s.answer(p, v, err) {
		return
	}
	if rec := s.table.At(p.flow); rec.Ended {
		s.finish(p.flow, trigger{reason: cascade.FlowEnd, at: rec.Last, arrived: p.trigger.arrived})
	} else {
		s.step(p.flow, rec, p.trigger.arrived)
	}
}

// shed decides a flow with the best label it has: there is no time for more.
// If it has none, it ended before the first stage had all its packets; then that
// is asked about those there are, as the last would have been.
func (s *Shard) shed(r flow.Ref, t trigger) {
	s.load.admission.Shed(time.Now())
	rec := s.table.At(r)
	if c := s.runOf(rec); rec.Guess == -1 && !c.Stages[0].Batched {
		if v, err := c.runner.Score(0, s.table.Packets(r)); err != nil {
			s.options.OnError(err)
		} else {
			keep(rec, 0, v)
		}
	}
	t.reason = cascade.Shed
	s.decideBestSoFar(r, t)
}

// keep notes what a stage said as the flow's best label so far.
func keep(rec *flow.Record, stage uint8, v cascade.Verdict) {
	rec.Guess, rec.GuessStage, rec.Score, rec.Margin = int16(v.Class), stage, v.Score, v.Margin
	if v.Novel {
		rec.Guess = flow.Novel
	}
}

// decideBestSoFar decides a flow that no stage is to be asked about again: the best
// label so far, if there is one.
func (s *Shard) decideBestSoFar(r flow.Ref, t trigger) {
	o := none
	if rec := s.table.At(r); rec.Guess != -1 {
		stage := int(rec.GuessStage)
		packets := min(len(s.table.Packets(r)), s.runOf(rec).Stages[stage].Packets)
		o = outcome{max(int(rec.Guess), cascade.Unknown), rec.Score, rec.Margin, stage, packets}
	}
	s.decide(r, o, t)
}

// decide is the end of a flow's way: it is told to the log and to the tap,
// once.
func (s *Shard) decide(r flow.Ref, o outcome, t trigger) {
	rec, now := s.table.At(r), time.Now()
	if t.asked.IsZero() {
		t.asked = now
	}
	l, p := rec.Lane(), s.shares[rec.Bundle]
	p.flows--
	latency := l.Waited(rec, t.at, s.wall(now))
	label, services, stage, number := bundle.UnknownLabel, "", "", -1
	if o.stage >= 0 {
		c := s.runOf(rec)
		c.count(o, t.reason, s.table.Packets(r))
		stage, number = c.Stages[o.stage].Name, c.first+o.stage
		if o.class >= 0 {
			label, services = c.Labels[o.class], p.services[o.class]
		}
	}
	s.table.SetState(r, flow.Decided)
	s.records = append(s.records, sink.Record{
		Start: rec.First, Sensor: l.Source.Sensor, Flow: rec.Key.ID, Tuple: rec.Tuple,
		Label: label, Score: o.score, Margin: o.margin, Stage: stage, Packets: o.packets,
		LatencyUS: latency, Model: p.model, Reason: t.reason.String(), Services: services, Compute: now.Sub(t.asked),
	})
	if to := rec.ReplyTo; to != nil {
		rec.ReplyTo = nil
		if s.replyTo != to {
			s.flushReplies()
			s.replyTo = to
		}
		s.replies = append(s.replies, wire.Label{
			Flow: rec.Key.ID, Label: label, Score: o.score, Stage: stage, Packets: o.packets,
			LatencyUS: latency, Model: p.model, Reason: t.reason.String(), Services: services,
		})
	}
	p.decided.Decision(number, int(t.reason), o.class, time.Duration(latency)*time.Microsecond, now.Sub(t.arrived))
}
