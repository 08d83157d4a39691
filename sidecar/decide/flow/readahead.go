package flow

import "serveflow/sidecar/features/packet"

// Ahead is how many events ReadAhead looks at.
const Ahead = 16

// cachedFlows is how many flows lie in the processor's caches, where reading ahead
// would only cost time.
const cachedFlows = 1 << 13

// ReadAhead reads what handling the next events reads of their flows: the slots, then
// the records, then their neighbours in queues and the packets. A table is larger than
// the processor's caches, and reads that do not depend on each other take hardly longer
// than one of them. It changes nothing.
func (t *Table) ReadAhead(sensor uint32, events []Event) {
	if t.used < cachedFlows {
		return
	}
	var hashes [Ahead]uint32
	var refs [Ahead]Ref
	events = events[:min(len(events), Ahead)]
	for i := range events {
		k := Key{Sensor: sensor, ID: events[i].ID}
		hashes[i] = t.index.hash(&k)
	}
	for i := range events {
		refs[i] = t.index.guess(hashes[i])
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
			sum += readPackets(t.packets.block(rec), events[i].Index())
		}
	}
	t.read = sum
}

// readPackets reads the packets of a block up to an index, from 1.
func readPackets(block []packet.Packet, index uint64) (sum uint64) {
	for i := range block[:min(uint64(len(block)), index)] {
		p := &block[i] // three cache lines
		sum += uint64(p.Time) + uint64(p.Header[packet.MaxHeader/2]) + uint64(p.Shape.Total)
	}
	return sum
}
