package telemetry

import (
	"sync/atomic"
	"time"
)

// pad is the number of cells that keeps the counters of two goroutines apart: two
// cache lines, because processors fetch them in pairs.
const pad = 128 / 8

// Where the histograms are in a row: buckets, then the sum in nanoseconds.
const (
	servingCells = int(cells)
	computeCells = servingCells + buckets + 1
	waitCells    = computeCells + buckets + 1 // of the first of Waits
	rowCells     = waitCells + len(waits)*(buckets+1)
)

// Wait is where a flow may wait for its decision.
type Wait uint8

// The waits.
const (
	WaitQueue Wait = iota // a batch of events, from its arrival until its shard takes it
	WaitShard             // a batch of events, until its shard is done with it
	WaitModel             // a flow, from the question to the decision: for others to be asked with, and for the model
)

var waits = [...]string{"queue", "shard", "model"}

// row is the counters of one goroutine. All rows have the same layout, so that a
// scrape is a sum of rows.
type row struct{ cells []atomic.Uint64 }

func newRow() row { return row{make([]atomic.Uint64, pad+rowCells+pad)[pad : pad+rowCells]} }

// Count adds n to a counter.
func (r *row) Count(c Cell, n uint64) { r.cells[c].Add(n) }

// Set sets this row's part of a gauge.
func (r *row) Set(c Cell, n int) { r.cells[c].Store(uint64(max(0, n))) }

func (r *row) addTo(total []uint64) {
	for i := range r.cells {
		total[i] += r.cells[i].Load()
	}
}

// Shard counts for one goroutine, all but its decisions. It may be read and written
// by many, but is only fast while one writes.
type Shard struct {
	row
	reasons int // number of reasons of decisions
}

// Wait counts a wait.
func (s *Shard) Wait(w Wait, d time.Duration) { s.observe(waitCells+int(w)*(buckets+1), d) }

// observe counts a duration in the histogram at a place of the row. A negative one,
// which a tap's clock can cause, counts as zero.
func (s *Shard) observe(histogram int, d time.Duration) {
	d = max(d, 0)
	s.cells[histogram+bucket(d)].Add(1)
	s.cells[histogram+buckets].Add(uint64(d))
}

// bounds are the upper bounds of the latency buckets: from a tree that answers at
// once to a flow that is idle for minutes. 16 ms is the target that published
// systems are compared by.
var bounds = [...]time.Duration{
	5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 16 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute,
}

// buckets is the number of buckets, with the one above all bounds.
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
