package telemetry

import (
	"sync/atomic"
	"time"
)

// pad is as many cells as keep the counters of two goroutines apart: two cache
// lines, since processors fetch them in pairs.
const pad = 128 / 8

// layout says which cell of a row of counters counts what. Every goroutine's
// row has the same layout, so that a scrape is a sum of rows.
type layout struct {
	events, drops, queues      int
	peers, flows, opened       int
	overdue                    int
	logErrors, repaired        int
	eve, eveWaited, eveWaiting int
	eveWritten, eveDropped     int
	reloads, reloadFailed      int // by result; 1: the last one was refused
	reloadTime                 int // seconds of the reload under way
	loads                      int // by state
	serving, compute           int // [bucket]
	servingNanos, computeNanos int
	size                       int // cells in a row

	reasons int // there are so many reasons
}

func newLayout(o Options) *layout {
	l := &layout{reasons: len(o.Reasons)}
	take := func(cell *int, n int) { *cell, l.size = l.size, l.size+n }
	take(&l.events, int(events))
	take(&l.drops, int(drops))
	take(&l.queues, int(queues))
	take(&l.peers, 1)
	take(&l.flows, 1)
	take(&l.opened, 1)
	take(&l.overdue, 1)
	take(&l.logErrors, 1)
	take(&l.repaired, 1)
	take(&l.eve, int(EVEResults))
	take(&l.eveWaited, 1)
	take(&l.eveWaiting, 1)
	take(&l.eveWritten, 1)
	take(&l.eveDropped, 1)
	take(&l.reloads, int(reloads))
	take(&l.reloadFailed, 1)
	take(&l.reloadTime, 1)
	take(&l.loads, int(loads))
	take(&l.serving, buckets)
	take(&l.servingNanos, 1)
	take(&l.compute, buckets)
	take(&l.computeNanos, 1)
	return l
}

// counters are one row.
type counters struct {
	layout *layout
	cells  []atomic.Uint64
}

func newCounters(l *layout) counters {
	return counters{l, make([]atomic.Uint64, pad+l.size+pad)[pad : pad+l.size]}
}

func (c *counters) addTo(total []uint64) {
	for i := range c.cells {
		total[i] += c.cells[i].Load()
	}
}

// Events counts n messages from taps.
func (c *counters) Events(e Event, n uint64) { c.cells[c.layout.events+int(e)].Add(n) }

// Drops counts n things dropped.
func (c *counters) Drops(d Drop, n uint64) { c.cells[c.layout.drops+int(d)].Add(n) }

// Drop counts one thing dropped.
func (c *counters) Drop(d Drop) { c.Drops(d, 1) }

// EVERecords counts n records of EVE.
func (c *counters) EVERecords(e EVE, n uint64) { c.cells[c.layout.eve+int(e)].Add(n) }

// EVEWaited counts a record of EVE that waits for its label.
func (c *counters) EVEWaited() { c.cells[c.layout.eveWaited].Add(1) }

// Shard counts for one goroutine, all but its decisions. It may be read and written by many, but is
// only fast while one writes.
type Shard struct{ counters }

// FlowOpened counts a new flow.
func (s *Shard) FlowOpened() { s.cells[s.layout.opened].Add(1) }

// Overdue counts a live flow that waited longer than it may.
func (s *Shard) Overdue() { s.cells[s.layout.overdue].Add(1) }

// SetFlows says how many flows the goroutine tracks now.
func (s *Shard) SetFlows(n int) { s.cells[s.layout.flows].Store(uint64(n)) }

// LoadBecame counts that the goroutine bends more or less than before.
func (s *Shard) LoadBecame(l Load) { s.cells[s.layout.loads+int(l)].Add(1) }

// observe counts a duration. One below zero, which a tap's clock can cause, is
// taken for zero.
func (s *Shard) observe(histogram, nanos int, d time.Duration) {
	d = max(d, 0)
	s.cells[histogram+bucket(d)].Add(1)
	s.cells[nanos].Add(uint64(d))
}

// bounds are the upper bounds of the latency buckets: from a tree that answers
// at once to a flow that goes quiet after minutes. 16 ms is a target that
// published systems are compared by.
var bounds = [...]time.Duration{
	5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 16 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute,
}

// buckets is how many there are, with the one above all bounds.
const buckets = len(bounds) + 1

// bucket is the number of the first bucket whose bound is not below d.
func bucket(d time.Duration) int {
	low, high := 0, len(bounds)
	for low < high {
		if mid := (low + high) / 2; bounds[mid] < d {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
