package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
)

func (s *Shard) event(l *flow.Lane, b *flow.Batch, e *flow.Event) {
	switch e.Kind {
	case flow.Frame:
		frame, h := b.Bytes(e), &s.headers
		if err := packet.Parse(h, e.Link, frame); err != nil {
			s.options.Metrics.Drop(telemetry.DropUnparsed)
			if l.Source.Unparsed != nil {
				l.Source.Unparsed(err)
			}
			h = nil
		} else {
			h.FillLength(int(e.WireLen))
		}
		s.packetOf(l, e, h, frame, b.Arrived)
	case flow.Meta:
		s.packetOf(l, e, nil, b.Bytes(e), b.Arrived)
	case flow.End:
		s.end(l, e, b.Arrived)
	case flow.Clock: // the lane's clock was all there is to it
	}
}

// packetOf takes a packet of a flow: its frame, whose headers h are nil where they
// cannot be read, or the bytes of payload that META has.
func (s *Shard) packetOf(l *flow.Lane, e *flow.Event, h *packet.Headers, bytes []byte, arrived time.Time) {
	key := flow.Key{Sensor: l.Source.SensorID, ID: e.ID}
	r := s.table.Find(key)
	if r != flow.None && e.Index() == 1 && s.table.At(r).Ended && s.table.At(r).State == flow.Decided {
		s.table.Remove(r) // the IDS uses the id again
		r = flow.None
	}
	if r == flow.None {
		if r = s.open(l, key, e, h, arrived); r == flow.None {
			return
		}
	}
	rec := s.table.At(r)
	if rec.State != flow.Decided && rec.Lane() == l && s.table.Held(r, e.Index()) {
		s.unwanted(rec, e) // it keeps no timer from running
		return
	}
	s.table.Touch(r, l)
	if rec.State == flow.Waiting {
		s.expireIfIdle(r, e.Time, arrived)
	}
	rec.Last = max(rec.Last, e.Time)
	if rec.State == flow.Decided {
		s.unwanted(rec, e)
		return
	}
	s.store(r, rec, e, h, bytes)
	if rec.State == flow.Waiting {
		s.step(r, rec, arrived)
	}
	if c := s.runOf(rec); rec.State == flow.Waiting && s.lost(rec, e, c) {
		s.finish(r, trigger{reason: cascade.LastStage, at: e.Time, arrived: arrived})
	}
}

// lost says whether a flow waits for a packet that will not come: the last that
// the cascade looks at has, and a connection sends a flow's packets in order.
// Where the flow's events came over several, the missing one may still be on its
// way, until a packet comes that is not even wanted.
func (s *Shard) lost(rec *flow.Record, e *flow.Event, c *cascadeRun) bool {
	last := uint64(c.Stages[c.Last()].Packets)
	return e.Index() > last || e.Index() == last && !rec.Moved
}

// store keeps a packet if its flow has a use for it.
func (s *Shard) store(r flow.Ref, rec *flow.Record, e *flow.Event, h *packet.Headers, bytes []byte) {
	mixed := rec.Meta != (e.Kind == flow.Meta) // a tap sees headers or it does not
	if mixed {
		s.options.Metrics.Drop(telemetry.DropUnparsed)
	}
	if mixed || !rec.Meta && h == nil {
		s.count(rec, e)
		return
	}
	p := s.table.Slot(r, e.Index())
	if p == nil {
		s.unwanted(rec, e)
		return
	}
	if rec.Meta {
		p.SetMeta(e.Tuple, e.Time, direction(rec, &e.Tuple, e), e.Payload)
	} else {
		p.SetFrame(h, bytes, e.Time, direction(rec, &h.Tuple, e))
		bytes = h.PayloadOf(bytes)
	}
	if s.table.Speaks(r, e.Index()) && s.options.Payload {
		p.SetPayload(bytes)
	}
	s.count(rec, e)
}

// unwanted counts a packet that is of no use to its flow: one that it had, or
// one that comes when it is decided or has all it can use.
func (s *Shard) unwanted(rec *flow.Record, e *flow.Event) {
	if e.Index() <= rec.OrigPkts+rec.RespPkts {
		s.options.Metrics.Drop(telemetry.DropDuplicate)
	} else {
		s.options.Metrics.Drop(telemetry.DropLate)
	}
	s.count(rec, e)
}

func (s *Shard) count(rec *flow.Record, e *flow.Event) {
	rec.OrigPkts = max(rec.OrigPkts, e.OrigPkts)
	rec.RespPkts = max(rec.RespPkts, e.RespPkts)
}

// open begins a flow. It returns None for a flow that is not to be followed:
// one that was decided and forgotten, or decided before the sidecar was started.
func (s *Shard) open(l *flow.Lane, key flow.Key, e *flow.Event, h *packet.Headers, arrived time.Time) flow.Ref {
	partial := e.Index() > 1
	if partial && (s.table.Forgot(key) || s.options.Known != nil && s.options.Known.Has(l.Source.Sensor, e.ID)) {
		s.options.Metrics.Drop(telemetry.DropLate)
		return flow.None
	}
	if s.table.Full() {
		s.evict(arrived)
	}
	r := s.table.Open(key, l)
	rec := s.table.At(r)
	rec.First, rec.Last = e.Time, e.Time
	rec.Meta = e.Kind == flow.Meta
	rec.Bundle = s.newest
	p := s.shares[s.newest]
	p.flows++
	switch {
	case rec.Meta:
		rec.Tuple = e.Tuple
	case h != nil:
		rec.Tuple = h.Tuple
	}
	if e.Dir == packet.Responder || e.Dir == packet.Unknown && (e.OrigPkts == 0 || answers(h)) {
		rec.Tuple = rec.Tuple.Reverse()
	}
	s.options.Metrics.FlowOpened()
	switch {
	case partial:
		s.decide(r, none, trigger{reason: cascade.Partial, at: e.Time, arrived: arrived})
	case s.runOf(rec) == nil, !p.service.Bundle.Serves(rec.Tuple.Proto):
		s.decide(r, none, trigger{reason: cascade.Unserved, at: e.Time, arrived: arrived})
	}
	return r
}

// answers says whether a packet is a SYN-ACK: the SYN before it was missed, and
// whoever sent it is the responder.
func answers(h *packet.Headers) bool {
	const synAck = 0x12
	return h != nil && h.Window != packet.Missing && h.TCPFlags&synAck == synAck
}

// direction is the direction of a packet by the ends of the flow's first one:
// an IDS may change its mind about who the originator is, and a model must not
// see that.
func direction(rec *flow.Record, t *packet.Tuple, e *flow.Event) packet.Dir {
	if o := &rec.Tuple; t.Version != 0 && t.Version == o.Version {
		switch {
		case t.Src != t.Dst && t.Src == o.Src && t.Dst == o.Dst:
			return packet.Originator
		case t.Src != t.Dst && t.Src == o.Dst && t.Dst == o.Src:
			return packet.Responder
		case t.SrcPort != t.DstPort && t.SrcPort == o.SrcPort && t.DstPort == o.DstPort:
			return packet.Originator
		case t.SrcPort != t.DstPort && t.SrcPort == o.DstPort && t.DstPort == o.SrcPort:
			return packet.Responder
		}
	}
	if e.Dir != packet.Unknown {
		return e.Dir
	}
	if e.RespPkts > rec.RespPkts {
		return packet.Responder
	}
	return packet.Originator
}

func (s *Shard) end(l *flow.Lane, e *flow.Event, arrived time.Time) {
	r := s.table.Find(flow.Key{Sensor: l.Source.SensorID, ID: e.ID})
	if r == flow.None {
		return
	}
	s.table.Touch(r, l)
	rec := s.table.At(r)
	rec.Ended = true
	if rec.State == flow.Waiting {
		s.expireIfIdle(r, e.Time, arrived)
	}
	rec.Last = max(rec.Last, e.Time)
	if rec.State == flow.Waiting {
		s.finish(r, trigger{reason: cascade.FlowEnd, at: e.Time, arrived: arrived})
	}
}

// closed ends a flow that a log of the IDS has told the end of, once all its
// packets that are wanted have been seen. Until then it does nothing, and is
// told again.
func (s *Shard) closed(source *flow.Source, e *flow.Event, arrived time.Time) {
	r := s.table.Find(flow.Key{Sensor: source.SensorID, ID: e.ID})
	if r == flow.None {
		return
	}
	rec := s.table.At(r)
	if rec.State == flow.Decided {
		rec.Ended = true
		return
	}
	c := s.runOf(rec)
	seen, last := rec.OrigPkts+rec.RespPkts, uint64(c.Stages[c.Last()].Packets)
	if seen < min(e.Index(), last) {
		return
	}
	rec.Ended = true
	if rec.State == flow.Waiting {
		s.finish(r, trigger{reason: cascade.FlowEnd, at: e.Time, arrived: arrived})
	}
}

// evict makes room for one more flow.
func (s *Shard) evict(arrived time.Time) {
	r := s.table.Spare()
	for r == flow.None { // every flow waits for a model: take what it answers
		if s.load.len > 0 {
			s.askNext()
		} else {
			s.complete(<-s.answered)
		}
		r = s.table.Spare()
	}
	if rec := s.table.At(r); rec.State == flow.Waiting {
		s.decideBestSoFar(r, trigger{reason: cascade.Evicted, at: rec.Lane().Now(), arrived: arrived})
	}
	s.table.Remove(r)
}
