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

func (s *Shard) course(rec *flow.Record) *course {
	if p := s.shares[rec.Bundle]; rec.Meta {
		return p.meta
	} else {
		return p.packet
	}
}

// step asks the stages that have the packets they need, one after the other,
// until one accepts, one answers later, or more packets are needed. Only the last
// stage is asked about packets that carry no payload: silence is no evidence.
func (s *Shard) step(r flow.Ref, rec *flow.Record) {
	c := s.course(rec)
	have := s.table.Packets(r)
	for need := c.Stages[rec.Stage].Packets; len(have) >= need; need = c.Stages[rec.Stage].Packets {
		if rec.Silent(need) && int(rec.Stage) < c.Last() {
			rec.Stage++
			continue
		}
		if !s.ask(r, rec, c, cascade.Accepted, have[need-1].Time) {
			return
		}
	}
}

// finish decides a flow that will get no more packets, on what there is: the
// last stage has the word.
func (s *Shard) finish(r flow.Ref, why cascade.Reason, at int64) {
	rec := s.table.At(r)
	c := s.course(rec)
	if len(s.table.Packets(r)) == 0 { // not one whole packet was seen
		s.decide(r, none, cascade.Partial, at)
		return
	}
	if rec.Silent(len(s.table.Packets(r))) {
		s.decide(r, none, cascade.Silent, at)
		return
	}
	rec.Stage = uint8(c.Last())
	s.ask(r, rec, c, why, at)
}

// ask asks the flow's stage and deals with the answer. It returns true if the
// answer is there and the flow has to go on to the next stage.
func (s *Shard) ask(r flow.Ref, rec *flow.Record, c *course, why cascade.Reason, at int64) bool {
	s.asked = time.Now()
	if c.Stages[rec.Stage].Batched {
		s.queue(r, rec, c, why, at)
		return false
	}
	if rec.Stage > 0 && !rec.Lane().Source.Capture {
		s.postpone(r, why, at)
		return false
	}
	packets := s.table.Packets(r)
	v, err := c.runner.Score(int(rec.Stage), packets)
	return s.answer(r, v, err, len(packets), why, at)
}

// answer deals with what the flow's stage said of it when so many packets were
// there.
func (s *Shard) answer(r flow.Ref, v cascade.Verdict, err error, packets int, why cascade.Reason, at int64) bool {
	rec := s.table.At(r)
	c := s.course(rec)
	if err != nil {
		s.options.OnError(err)
		v = cascade.Verdict{Class: cascade.Unknown}
	}
	stage := int(rec.Stage)
	o := outcome{v.Class, v.Score, v.Margin, stage, min(packets, c.Stages[stage].Packets)}
	last := stage == c.Last()
	if last && why == cascade.Accepted {
		why = cascade.LastStage
	}
	switch {
	case v.Accepted:
	case last:
		o.class = cascade.Unknown
	case err == nil && !rec.Lane().Source.Capture && s.spares(c, stage+1) && c.Stages[stage].Suffices(v, s.admission.Level()):
		why = cascade.Relaxed
	default:
		if err == nil {
			keep(rec, rec.Stage, v)
		}
		rec.Stage++
		return true
	}
	s.decide(r, o, why, at)
	return false
}

// queue asks a batched stage, which answers through complete.
func (s *Shard) queue(r flow.Ref, rec *flow.Record, c *course, why cascade.Reason, at int64) {
	b := c.batchers[rec.Stage]
	capture := rec.Lane().Source.Capture
	var j *cascade.Job
	if !capture && b.Wait() > s.admission.Deadline() {
		s.shed(r, at)
		return
	}
	for j == nil {
		select {
		case j = <-b.Free():
			continue
		default:
		}
		if !capture {
			s.shed(r, at)
			return
		}
		select {
		case j = <-b.Free():
		case done := <-s.answered:
			s.complete(done)
		}
	}
	packets := s.table.Packets(r)
	j.Packets, j.Why, j.At, j.Asked, j.Arrived = len(packets), why, at, s.asked, s.arrived
	s.table.SetState(r, flow.Pending)
	b.Ask(j, uint32(r), packets, s.answered)
	// What a capture's flow is told must not depend on how fast a model
	// was: packets that come meanwhile would make it so.
	for capture && int(rec.Stage) < c.Last() && rec.State == flow.Pending {
		s.complete(<-s.answered)
	}
}

// complete takes the answer of a batched stage.
func (s *Shard) complete(j *cascade.Job) {
	r := flow.Ref(j.Flow)
	v, err, packets, why, at := j.Verdict, j.Err, j.Packets, j.Why, j.At
	s.asked, s.arrived = j.Asked, j.Arrived
	j.Release()
	s.table.SetState(r, flow.Waiting)
	s.resume(r, v, err, packets, why, at)
}

// resume deals with an answer that a flow had to wait for.
func (s *Shard) resume(r flow.Ref, v cascade.Verdict, err error, packets int, why cascade.Reason, at int64) {
	if !s.answer(r, v, err, packets, why, at) {
		return
	}
	if rec := s.table.At(r); rec.Ended {
		s.finish(r, cascade.FlowEnd, rec.Last)
	} else {
		s.step(r, rec)
	}
}

// keep notes what a stage said as the flow's best label so far.
func keep(rec *flow.Record, stage uint8, v cascade.Verdict) {
	rec.Guess, rec.GuessStage, rec.Score, rec.Margin = int16(v.Class), stage, v.Score, v.Margin
	if v.Novel {
		rec.Guess = flow.Novel
	}
}

// guess decides a flow that no stage is to be asked about again: the best
// label so far, if there is one.
func (s *Shard) guess(r flow.Ref, why cascade.Reason, at int64) {
	o := none
	if rec := s.table.At(r); rec.Guess != -1 {
		stage := int(rec.GuessStage)
		packets := min(len(s.table.Packets(r)), s.course(rec).Stages[stage].Packets)
		o = outcome{max(int(rec.Guess), cascade.Unknown), rec.Score, rec.Margin, stage, packets}
	}
	s.decide(r, o, why, at)
}

// decide is the end of a flow's way: it is told to the log and to the tap,
// once. at is the packet time of what led to it.
func (s *Shard) decide(r flow.Ref, o outcome, why cascade.Reason, at int64) {
	rec, now := s.table.At(r), time.Now()
	l, p := rec.Lane(), s.shares[rec.Bundle]
	p.flows--
	latency := l.Waited(rec, at, s.wall(now))
	label, services, stage, number := bundle.UnknownLabel, "", "", -1
	if o.stage >= 0 {
		c := s.course(rec)
		c.count(o, why, s.table.Packets(r))
		stage, number = c.Stages[o.stage].Name, c.first+o.stage
		if o.class >= 0 {
			label, services = c.Labels[o.class], p.services[o.class]
		}
	}
	s.table.SetState(r, flow.Decided)
	s.records = append(s.records, sink.Record{
		Start: rec.First, Sensor: l.Source.Sensor, Flow: rec.Key.ID, Tuple: rec.Tuple,
		Label: label, Score: o.score, Margin: o.margin, Stage: stage, Packets: o.packets,
		LatencyUS: latency, Model: p.model, Reason: why.String(), Services: services, Compute: now.Sub(s.asked),
	})
	if l.Source.Reply != nil {
		if s.replyTo != l.Source {
			s.flushReplies()
			s.replyTo = l.Source
		}
		s.replies = append(s.replies, wire.Label{
			Flow: rec.Key.ID, Label: label, Score: o.score, Stage: stage, Packets: o.packets,
			LatencyUS: latency, Model: p.model, Reason: why.String(), Services: services,
		})
	}
	p.decided.Decision(number, int(why), o.class, time.Duration(latency)*time.Microsecond, now.Sub(s.arrived))
}
