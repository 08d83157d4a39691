package flow

// Every flow that is not in Scoring stands in a queue of its SourceClock, ordered by
// the last change: for the idle timeout, for the retention, and to be evicted.

// The queues of a clock, in the order in which flows are evicted.
const (
	queueEnded          uint8 = iota // labelled, and the IDS is done with it
	queueDecided                     // labelled already
	queueSinglePacket                // one packet seen
	queueSeveralPackets              // several
	numQueues
)

type link struct{ prev, next Ref }

type list struct{ head, tail Ref }

func (t *Table) push(r Ref, rec *Record) {
	if rec.State == Scoring {
		return
	}
	t.changes++
	rec.change = t.changes
	q := &rec.clock.queues[rec.queue()]
	rec.link = link{prev: q.tail}
	if q.tail == None {
		q.head = r
	} else {
		t.At(q.tail).link.next = r
	}
	q.tail = r
}

func (t *Table) remove(rec *Record) {
	if rec.State == Scoring {
		return
	}
	q, l := &rec.clock.queues[rec.queue()], rec.link
	if l.prev == None {
		q.head = l.next
	} else {
		t.At(l.prev).link.next = l.next
	}
	if l.next == None {
		q.tail = l.prev
	} else {
		t.At(l.next).link.prev = l.prev
	}
}

// earlier is the one of two flows that changed first; either may be None.
func (t *Table) earlier(a, b Ref) Ref {
	if a == None || b != None && t.At(b).change < t.At(a).change {
		return b
	}
	return a
}
