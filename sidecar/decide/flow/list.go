package flow

// Every flow that is not pending stands in two lists: one of its lane, by
// which it grows quiet or stale, and one of the table, by which it is given up
// when the table is full. Both are kept in the order of the last touch.
const (
	byLane = iota
	byAge
)

// The lists of the table, by how easily a flow can be spared.
const (
	ageNew     uint8 = iota // one packet seen
	ageGrown                // several
	ageDecided              // labelled already
	ages
)

type link struct{ prev, next Ref }

type list struct{ head, tail Ref }

func (t *Table) push(r Ref, rec *Record) {
	switch rec.State {
	case Pending:
		return
	case Waiting:
		rec.lane.waiting.push(t, byLane, r)
	case Decided:
		rec.lane.decided.push(t, byLane, r)
	}
	t.ages[rec.queue].push(t, byAge, r)
}

func (t *Table) pull(r Ref, rec *Record) {
	switch rec.State {
	case Pending:
		return
	case Waiting:
		rec.lane.waiting.pull(t, byLane, r)
	case Decided:
		rec.lane.decided.pull(t, byLane, r)
	}
	t.ages[rec.queue].pull(t, byAge, r)
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

func (q *list) pull(t *Table, by int, r Ref) {
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
