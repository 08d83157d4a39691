package flow

import (
	"math/bits"

	"serveflow/sidecar/features/packet"
)

// Ahead is how many events ReadAhead looks at.
const Ahead = 16

// cachedFlows is how many flows lie in the processor's caches, where reading ahead
// would only cost time.
const cachedFlows = 1 << 13

// ReadAhead prepares the next events for FindOf, and reads what handling them reads of
// their flows: the slots, then the records, then their neighbours in queues and the
// packets. A table is larger than the processor's caches, and reads that do not depend on
// each other take hardly longer than one of them. It changes nothing in the table.
func (t *Table) ReadAhead(sensor uint32, events []Event) {
	events = events[:min(len(events), Ahead)]
	for i := range events {
		events[i].hash = t.index.hash(sensor, &events[i].ID)
	}
	if t.used < cachedFlows {
		return
	}
	var refs [Ahead]Ref
	for i := range events {
		refs[i] = t.index.guess(events[i].hash)
	}
	sum := uint64(0) // a read whose result nobody uses is left out
	for _, r := range refs[:len(events)] {
		if r != None {
			rec := t.At(r) // three cache lines
			sum += rec.change + rec.OrigPkts + uint64(rec.First)
		}
	}
	for i, r := range refs[:len(events)] {
		if r != None {
			rec := t.At(r)
			sum += t.At(rec.link.prev).change + t.At(rec.link.next).change
			sum += t.readPackets(rec, &events[i])
		}
	}
	t.read = sum
}

// readPackets reads the place of an event's packet, and all packets held where they may
// be scored or move to a larger block.
func (t *Table) readPackets(rec *Record, e *Event) (sum uint64) {
	block, index := t.packets.block(rec), int(min(e.Index(), MaxPackets))
	switch {
	case e.Kind == End || index > len(block) || index == int(rec.maxPackets):
		block = block[:min(bits.Len64(rec.seen), len(block))]
	case index > 0:
		block = block[index-1 : index]
	default:
		block = nil
	}
	for i := range block {
		p := &block[i] // three cache lines
		sum += uint64(p.Time) + uint64(p.Header[packet.MaxHeader/2]) + uint64(p.Shape.Total)
	}
	return sum
}
