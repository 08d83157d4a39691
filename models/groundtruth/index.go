package groundtruth

import (
	"cmp"
	"slices"
	"time"
)

// Tolerance is how far a flow's start and a log's may be apart: clocks of two
// machines differ, and the same ports are seldom used again so soon.
const Tolerance = 2 * time.Second

// index finds values by the hash of what they are about, and by time. A sorted
// list takes a fraction of the memory of a map.
type index[V comparable] []entry[V]

type entry[V comparable] struct {
	key   uint64
	at    int64 // µs since the epoch
	value V
}

// sort makes the index ready. What stands there twice, as where a log was copied,
// counts once.
func (x *index[V]) sort() {
	slices.SortStableFunc(*x, func(a, b entry[V]) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at))
	})
	*x = slices.Clip(slices.Compact(*x))
}

// of are the entries of a key, in order of their time.
func (x index[V]) of(key uint64) index[V] {
	from, _ := slices.BinarySearchFunc(x, key, func(e entry[V], key uint64) int { return cmp.Compare(e.key, key) })
	x = x[from:]
	n, _ := slices.BinarySearchFunc(x, key, func(e entry[V], key uint64) int {
		if e.key > key {
			return 1
		}
		return -1
	})
	return x[:n]
}

// upto is how many of the entries of one key are of no later time than at.
func (x index[V]) upto(at int64) int {
	n, _ := slices.BinarySearchFunc(x, at, func(e entry[V], at int64) int {
		if e.at > at {
			return 1
		}
		return -1
	})
	return n
}

// near are the entries of a key that are nearest in time, within Tolerance.
func (x index[V]) near(key uint64, at int64) index[V] {
	x = x.of(key)
	n := x.upto(at)
	far := Tolerance.Microseconds() + 1
	if n > 0 {
		far = min(far, at-x[n-1].at)
	}
	if n < len(x) {
		far = min(far, x[n].at-at)
	}
	if far > Tolerance.Microseconds() {
		return nil
	}
	return x[x.upto(at-far-1):x.upto(at+far)]
}
