package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
)

func (s *Shard) handleEvent(clock *flow.SourceClock, b *flow.Batch, e *flow.Event) {
	if e.Kind <= flow.Headerless && e.Index() > uint64(s.limit.Packets) {
		return // sent for another bundle
	}
	switch e.Kind {
	case flow.Frame:
		frame, h := b.Bytes(e), &s.headers
		frame = frame[:min(len(frame), s.limit.RawBytes)]
		if err := packet.Parse(h, e.Link, frame); err != nil {
			s.options.Metrics.Count(telemetry.DropUnparsed, 1)
			if clock.Source.Unparsed != nil {
				clock.Source.Unparsed(err)
			}
			h = nil
		} else {
			h.FillLength(int(e.WireLen))
		}
		s.handlePacket(clock, e, h, frame, b.Arrived)
	case flow.Headerless:
		s.handlePacket(clock, e, nil, b.Bytes(e), b.Arrived)
	case flow.End:
		s.handleEnd(clock, e, b.Arrived)
	case flow.ClockUpdate: // handleBatch has moved the clock
	}
}

// handlePacket takes a packet of a flow: its frame, whose headers h are nil if they
// cannot be parsed, or the bytes of payload of a META.
func (s *Shard) handlePacket(clock *flow.SourceClock, e *flow.Event, h *packet.Headers, bytes []byte, arrived time.Time) {
	r := s.table.FindOf(clock.Source.SensorID, e)
	s.answerFirst(r, clock, e)
	if r != flow.None && e.Index() == 1 && s.table.At(r).Ended && s.table.At(r).State == flow.Decided {
		s.remove(r) // the IDS uses the id again
		r = flow.None
	}
	opened := r == flow.None
	if opened {
		if r = s.openFlow(clock, e, h, arrived); r == flow.None {
			return
		}
	}
	rec := s.table.At(r)
	if rec.State != flow.Decided && s.isRepeat(r, rec, e, h) {
		s.countUnwanted(rec, e) // a repeat does not restart the idle timeout
		return
	}
	if !opened {
		s.table.Touch(r, clock)
	}
	if rec.State == flow.NeedPackets {
		s.expireIfIdle(r, e.Time, arrived)
	}
	rec.Last = max(rec.Last, e.Time)
	if s.missedEvents(r, rec) && rec.State == flow.NeedPackets && !rec.Asked {
		s.decide(r, noLabel, trigger{reason: cascade.Shed, packetTime: e.Time, arrived: arrived})
	}
	if rec.State == flow.Decided {
		s.countUnwanted(rec, e)
		return
	}
	s.storePacket(r, rec, e, h, bytes)
	if rec.State == flow.NeedPackets && !rec.Asked {
		s.askReadyStages(r, rec, arrived)
	}
	if c := s.cascadeOf(rec); rec.State == flow.NeedPackets && !rec.Asked && s.awaitsLostPacket(rec, e, c) {
		s.finish(r, trigger{reason: cascade.LastStage, packetTime: e.Time, arrived: arrived})
	}
}

// isRepeat reports whether a packet brings an open flow nothing: it is held already,
// or it cannot be stored and is no later than the newest packet seen.
func (s *Shard) isRepeat(r flow.Ref, rec *flow.Record, e *flow.Event, h *packet.Headers) bool {
	if s.table.Held(r, e.Index()) {
		return true
	}
	storable := rec.Headerless == (e.Kind == flow.Headerless) && (rec.Headerless || h != nil)
	return !storable && e.Index() <= rec.OrigPkts+rec.RespPkts
}

// awaitsLostPacket reports whether a flow waits for a packet that will not come:
// the last packet that the cascade looks at has come, and a connection sends a
// flow's packets in order. A flow with several sources waits for one packet more,
// because the missing one may still arrive from another source.
func (s *Shard) awaitsLostPacket(rec *flow.Record, e *flow.Event, c *cascadeRun) bool {
	last := uint64(c.Stages[c.Last()].Packets)
	return e.Index() > last || e.Index() == last && !rec.MultiSource
}

// storePacket stores a packet that the cascade may still look at.
func (s *Shard) storePacket(r flow.Ref, rec *flow.Record, e *flow.Event, h *packet.Headers, bytes []byte) {
	mixed := rec.Headerless != (e.Kind == flow.Headerless) // a tap sees headers or it does not
	if mixed {
		s.options.Metrics.Count(telemetry.DropUnparsed, 1)
	}
	if mixed || !rec.Headerless && h == nil {
		s.updateCounts(rec, e)
		return
	}
	p := s.table.Slot(r, e.Index())
	if p == nil {
		s.countUnwanted(rec, e)
		return
	}
	if rec.Headerless {
		p.SetMeta(e.Tuple, e.Time, direction(rec, &e.Tuple, e), e.Payload)
	} else {
		p.SetFrame(h, bytes, e.Time, direction(rec, &h.Tuple, e))
		bytes = h.PayloadOf(bytes)
	}
	if s.table.NotePayload(r, e.Index()) && s.options.Payload {
		p.SetPayload(bytes[:min(len(bytes), s.limit.PayloadBytes)])
	}
	s.updateCounts(rec, e)
}

// countUnwanted counts a packet that is not stored: a duplicate, or one that comes
// after the decision or after the last packet that the cascade looks at.
func (s *Shard) countUnwanted(rec *flow.Record, e *flow.Event) {
	if e.Index() <= rec.OrigPkts+rec.RespPkts {
		s.options.Metrics.Count(telemetry.DropDuplicate, 1)
	} else {
		s.options.Metrics.Count(telemetry.DropLate, 1)
	}
	s.updateCounts(rec, e)
}

func (s *Shard) updateCounts(rec *flow.Record, e *flow.Event) {
	rec.OrigPkts = max(rec.OrigPkts, e.OrigPkts)
	rec.RespPkts = max(rec.RespPkts, e.RespPkts)
}

// openFlow adds a flow to the table. It returns None for a flow that is not
// tracked: one that was decided and removed, or decided before the sidecar started, or
// of a shadow one whose first packet it was not given.
func (s *Shard) openFlow(clock *flow.SourceClock, e *flow.Event, h *packet.Headers, arrived time.Time) flow.Ref {
	key := flow.Key{Sensor: clock.Source.SensorID, ID: e.ID}
	partial := e.Index() > 1
	if partial && (s.options.Leader != nil || s.table.RecentlyRemoved(key) || s.options.RecentlyDecided != nil && s.options.RecentlyDecided.Has(clock.Source.Sensor, e.ID)) {
		s.options.Metrics.Count(telemetry.DropLate, 1)
		return flow.None
	}
	for n := 0; n < 2 && s.table.Full(); n++ { // 2: a bundle that holds more packets leaves less room
		s.evict(arrived)
	}
	r := s.table.Open(key, clock)
	rec := s.table.At(r)
	s.shadowOpened(r, clock.Source)
	rec.First, rec.Last = e.Time, e.Time
	rec.Headerless = e.Kind == flow.Headerless
	rec.Bundle = s.newestBundle
	p := s.bundles[s.newestBundle]
	p.undecided++
	switch {
	case rec.Headerless:
		rec.Tuple = e.Tuple
	case h != nil:
		rec.Tuple = h.Tuple
	}
	if e.Dir == packet.Responder || e.Dir == packet.Unknown && (e.OrigPkts == 0 || isSYNACK(h)) {
		rec.Tuple = rec.Tuple.Reverse()
	}
	s.options.Metrics.Count(telemetry.FlowsOpened, 1)
	switch {
	case partial:
		s.decide(r, noLabel, trigger{reason: cascade.Partial, packetTime: e.Time, arrived: arrived})
	case s.cascadeOf(rec) == nil, !p.served.Bundle.Serves(rec.Tuple.Proto):
		s.decide(r, noLabel, trigger{reason: cascade.Unserved, packetTime: e.Time, arrived: arrived})
	}
	return r
}

// isSYNACK reports whether a packet is a SYN-ACK: its sender is the responder, and
// the SYN before it was missed.
func isSYNACK(h *packet.Headers) bool {
	const synAck = 0x12
	return h != nil && h.Window != packet.Missing && h.TCPFlags&synAck == synAck
}

// direction is the direction of a packet by the endpoints of the flow's first
// packet: an IDS may swap originator and responder later, and a model must not see
// that.
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

func (s *Shard) handleEnd(clock *flow.SourceClock, e *flow.Event, arrived time.Time) {
	r := s.table.FindOf(clock.Source.SensorID, e)
	s.answerFirst(r, clock, e)
	if r == flow.None {
		return
	}
	s.table.Touch(r, clock)
	rec := s.table.At(r)
	s.table.End(r)
	if rec.State == flow.NeedPackets {
		s.expireIfIdle(r, e.Time, arrived)
	}
	rec.Last = max(rec.Last, e.Time)
	if rec.State == flow.NeedPackets && !rec.Asked {
		s.finish(r, trigger{reason: cascade.FlowEnd, packetTime: e.Time, arrived: arrived})
	}
}

// handleEndReported ends a flow whose end a log of the IDS has reported, once all
// its packets that the cascade wants have been seen. Until then it does nothing,
// and the end is reported again.
func (s *Shard) handleEndReported(source *flow.Source, e *flow.Event, arrived time.Time) {
	s.scoreGathered()
	r := s.table.Find(flow.Key{Sensor: source.SensorID, ID: e.ID})
	if r == flow.None {
		return
	}
	rec := s.table.At(r)
	if rec.State == flow.Decided {
		s.table.End(r)
		return
	}
	c := s.cascadeOf(rec)
	seen, last := rec.OrigPkts+rec.RespPkts, uint64(c.Stages[c.Last()].Packets)
	if seen < min(e.Index(), last) {
		return
	}
	s.table.End(r)
	if rec.State == flow.NeedPackets {
		s.finish(r, trigger{reason: cascade.FlowEnd, packetTime: e.Time, arrived: arrived})
	}
}

// evict makes room for one more flow.
func (s *Shard) evict(arrived time.Time) {
	r := s.table.EvictionCandidate()
	if r == flow.None || s.table.At(r).State != flow.Decided {
		s.scoreGathered() // after which there may be a decided one
		r = s.table.EvictionCandidate()
	}
	for r == flow.None { // every flow waits for a model: handle an answer first
		if s.slow.len > 0 {
			s.askOldestQueued()
		} else {
			s.handleBatchedAnswer(<-s.batchedAnswers)
		}
		r = s.table.EvictionCandidate()
	}
	if rec := s.table.At(r); rec.State == flow.NeedPackets {
		s.decideBestSoFar(r, trigger{reason: cascade.Evicted, packetTime: rec.Clock().Now(), arrived: arrived})
	}
	s.remove(r)
}
