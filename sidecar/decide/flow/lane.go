package flow

// Lane is the clock of one source and the flows that live by it, in the order
// in which they were last heard of.
type Lane struct {
	Source  *Source
	now     int64
	wall    bool
	orphan  bool
	flows   int
	pending int
	waiting list
	decided list
}

// NewLane returns the lane of a source; wall is the time on the wall clock.
func NewLane(s *Source, wall int64) *Lane {
	l := &Lane{Source: s, wall: !s.Capture}
	l.Tick(wall)
	return l
}

// Now is the lane's time: of the wall for live sources, else the newest packet
// time it has seen.
func (l *Lane) Now() int64 { return l.now }

// Flows is the number of flows last heard of on this lane.
func (l *Lane) Flows() int { return l.flows }

// Pending is the number of these that wait for a model's answer.
func (l *Lane) Pending() int { return l.pending }

// Tick moves the clock of a live lane to the wall's; it never goes back.
func (l *Lane) Tick(wall int64) {
	if l.wall {
		l.now = max(l.now, wall)
	}
}

// Packet moves the clock of a capture's lane to the time of a packet; it never
// goes back.
func (l *Lane) Packet(ts int64) {
	if !l.wall {
		l.now = max(l.now, ts)
	}
}

// Orphan says that the lane's source has gone. Its flows may still be heard of
// from another; until then they live by the wall clock, for no packet will move
// this lane's time again, and count as heard of now.
func (l *Lane) Orphan(t *Table, wall int64) {
	l.orphan = true
	if l.wall {
		return
	}
	l.wall, l.now = true, wall
	for _, q := range []*list{&l.waiting, &l.decided} {
		for r := q.head; r != None; r = t.At(r).links[byLane].next {
			rec := t.At(r)
			rec.Heard, rec.Touched = wall, wall
		}
	}
}

// End says of all decided flows of the lane that the IDS is done with them.
func (l *Lane) End(t *Table) {
	for r := l.decided.head; r != None; r = t.At(r).links[byLane].next {
		t.At(r).Ended = true
	}
}

// Over says that the lane is of no more use: its source has gone and so have
// its flows.
func (l *Lane) Over() bool { return l.orphan && l.flows == 0 }

// Waited is how long a flow of this lane has waited for a decision, in
// microseconds from its first packet: by packet time alone for a capture, where
// at is the packet time of what led to the decision, so that two runs agree.
// Live, what has passed on the wall clock since the newest event is added to
// the packet time up to it; the clocks of tap and sidecar need not agree.
func (l *Lane) Waited(r *Record, at, wall int64) int64 {
	if l.wall {
		return max(r.Last-r.First+max(wall-r.Heard, 0), 0)
	}
	return max(at-r.First, 0)
}

// Quiet is the waiting flow unheard of for longest, if that is at least after
// microseconds, else None. With after 0 it is any waiting flow.
func (l *Lane) Quiet(t *Table, after int64) Ref { return l.waiting.due(t, l.now, after) }

// Stale is the same for decided flows.
func (l *Lane) Stale(t *Table, after int64) Ref { return l.decided.due(t, l.now, after) }

func (q *list) due(t *Table, now, after int64) Ref {
	if q.head == None || now-t.At(q.head).Touched < after {
		return None
	}
	return q.head
}
