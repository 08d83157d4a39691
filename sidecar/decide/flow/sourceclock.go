package flow

// SourceClock is the clock of one source with the flows that it times, ordered by
// when they were last seen.
type SourceClock struct {
	Source   *Source
	now      int64
	onWall   bool
	wall     int64 // of the last AdvanceWall
	moved    int64 // packet time when a capture's clock last moved by minMove
	movedAt  int64 // wall time of that
	detached bool
	flows    int
	scoring  int
	queues   [numQueues]list
}

// A capture's clock stands still if it moves by less than minMove while the wall
// clock moves by maxStill. From then on it moves with the wall clock: a tap that is
// silent, or that repeats itself, keeps no flow open.
const (
	maxStill = 30_000_000 // µs
	minMove  = 1_000_000  // µs
)

// NewSourceClock returns the clock of a source; wall is the time on the wall clock.
func NewSourceClock(s *Source, wall int64) *SourceClock {
	c := &SourceClock{Source: s, onWall: !s.Capture, wall: wall, movedAt: wall}
	c.AdvanceWall(wall)
	return c
}

// Now is the wall-clock time for live sources and the newest packet time for
// captures.
func (c *SourceClock) Now() int64 { return c.now }

// Flows is the number of flows that were last seen from this source.
func (c *SourceClock) Flows() int { return c.flows }

// Scoring is the number of these flows that wait for a model's answer.
func (c *SourceClock) Scoring() int { return c.scoring }

// AdvanceWall moves a live source's clock to the wall clock, and that of a capture
// that stands still by as much as the wall clock has moved; it never goes back.
func (c *SourceClock) AdvanceWall(wall int64) {
	passed := max(wall-c.wall, 0)
	c.wall += passed
	switch {
	case c.onWall:
		c.now = max(c.now, wall)
	case wall-c.movedAt > maxStill:
		c.now += passed
	}
}

// AdvancePacket moves a capture's clock to a packet's time; it never goes back.
func (c *SourceClock) AdvancePacket(ts int64) {
	if c.onWall {
		return
	}
	c.now = max(c.now, ts)
	if ts >= c.moved+minMove {
		c.moved, c.movedAt = ts, c.wall
	}
}

// Detach notes that the source has disconnected. No packet moves its clock any
// more, so the clock runs on the wall clock from now on, and its flows count as
// seen now. Another source may still send packets of them.
func (c *SourceClock) Detach(t *Table, wall int64) {
	c.detached = true
	if c.onWall {
		return
	}
	c.onWall, c.now = true, wall
	for _, q := range c.queues {
		for r := q.head; r != None; r = t.At(r).link.next {
			rec := t.At(r)
			rec.LastSeen, rec.LastChange = wall, wall
		}
	}
}

// EndDecided notes that the IDS is done with all decided flows of the source.
func (c *SourceClock) EndDecided(t *Table) {
	for r := c.queues[queueDecided].head; r != None; r = c.queues[queueDecided].head {
		t.End(r)
	}
}

// Unused reports whether the source has disconnected and no flow is left.
func (c *SourceClock) Unused() bool { return c.detached && c.flows == 0 }

// Latency is the time from a flow's first packet to its decision, in
// microseconds. For a capture it is packet time alone, up to at, the packet time
// of what led to the decision, so that two runs agree. For a live source it is
// the packet time up to the newest event plus the wall-clock time since, so that
// the clocks of tap and sidecar need not agree.
func (c *SourceClock) Latency(r *Record, at, wall int64) int64 {
	if c.onWall {
		return max(r.Last-r.First+max(wall-r.LastSeen, 0), 0)
	}
	return max(at-r.First, 0)
}

// Idle is the flow in NeedPackets that has been idle for longest, if for at least
// after microseconds, else None. With after 0 it is any such flow.
func (c *SourceClock) Idle(t *Table, after int64) Ref {
	return c.ifOlder(t, t.earlier(c.queues[queueSinglePacket].head, c.queues[queueSeveralPackets].head), after)
}

// Stale is the same for flows in Decided, after less time for those that the IDS is
// done with.
func (c *SourceClock) Stale(t *Table, after, ended int64) Ref {
	if r := c.ifOlder(t, c.queues[queueEnded].head, ended); r != None {
		return r
	}
	return c.ifOlder(t, c.queues[queueDecided].head, after)
}

func (c *SourceClock) ifOlder(t *Table, r Ref, after int64) Ref {
	if r == None || c.now-t.At(r).LastChange < after {
		return None
	}
	return r
}
