package flow

// Every flow that is not in Scoring stands in two lists: one of its SourceClock,
// for the idle timeout and the retention, and an eviction queue of the table.
// Both are ordered by the last change.
const (
	bySource = iota
	byEviction
)

// The eviction queues of a table, in the order in which they are emptied.
const (
	evictDecided        uint8 = iota // labelled already
	evictSinglePacket                // one packet seen
	evictSeveralPackets              // several
	numEvictQueues
)

type link struct{ prev, next Ref }

type list struct{ head, tail Ref }

func (t *Table) push(r Ref, rec *Record) {
	switch rec.State {
	case Scoring:
		return
	case NeedPackets:
		rec.clock.needPackets.push(t, bySource, r)
	case Decided:
		rec.clock.decided.push(t, bySource, r)
	}
	t.evictQueues[rec.evictQueue].push(t, byEviction, r)
}

func (t *Table) remove(r Ref, rec *Record) {
	switch rec.State {
	case Scoring:
		return
	case NeedPackets:
		rec.clock.needPackets.remove(t, bySource, r)
	case Decided:
		rec.clock.decided.remove(t, bySource, r)
	}
	t.evictQueues[rec.evictQueue].remove(t, byEviction, r)
}

func (q *list) push(t *Table, by int, r Ref) {
	t.At(r).links[by] = link{prev: q.tail}
	if q.tail == None {
		q.head = r
	} else {
		t.At(q.tail).links[by].next = r
	}
	q.tail = r
}

func (q *list) remove(t *Table, by int, r Ref) {
	l := t.At(r).links[by]
	if l.prev == None {
		q.head = l.next
	} else {
		t.At(l.prev).links[by].next = l.next
	}
	if l.next == None {
		q.tail = l.prev
	} else {
		t.At(l.next).links[by].prev = l.prev
	}
}
