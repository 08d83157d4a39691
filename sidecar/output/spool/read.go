package spool

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// read gives chunks to the receiver.
func (q *Queue) read() {
	defer close(q.out)
	for {
		c := q.nextChunk()
		if c == nil {
			return
		}
		q.mu.Lock()
		q.taken = append(q.taken, c)
		q.mu.Unlock()
		select {
		case q.out <- c:
		case <-q.stop:
			return
		}
	}
}

// nextChunk waits for the chunk that follows; nil: there will be none.
func (q *Queue) nextChunk() *Chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		q.readAt = q.normal(q.readAt)
		until := q.tail
		if len(q.fresh) > 0 {
			until = q.fresh[0].at
		}
		switch {
		case len(q.fresh) > 0 && !q.readAt.before(until):
			c := q.fresh[0]
			q.fresh[0] = nil
			q.fresh = q.fresh[1:]
			q.readAt = c.next
			q.memory.Add(-int64(cap(c.buf)))
			q.missing(c.First)
			q.expect = c.First + uint64(c.Count)
			return c
		case q.readAt.before(until):
			if q.stopped && q.over() {
				return nil
			}
			if c := q.readBack(until); c != nil {
				return c
			}
		case q.stopped:
			return nil
		default:
			q.changed.Wait()
		}
	}
}

// over says whether the queue was abandoned.
func (q *Queue) over() bool {
	select {
	case <-q.stop:
		return true
	default:
		return false
	}
}

// readBack reads the chunk at readAt from its file. A damaged one is passed over: then it
// returns nil.
func (q *Queue) readBack(until position) *Chunk {
	at := q.readAt
	q.mu.Unlock()
	c, err := q.loadPatiently(at)
	q.mu.Lock()
	if err != nil && q.over() {
		return nil
	}
	if err != nil {
		q.passOver(at, c, until, err)
		return nil
	}
	q.readAt = c.next
	if c.First+uint64(c.Count) <= q.expect {
		return nil // done before: the cursor was lost
	}
	q.missing(c.First)
	q.expect = c.First + uint64(c.Count)
	q.spilled.Add(uint64(c.Count))
	return c
}

// openAgain is how long a file waits that cannot be opened for want of descriptors.
const openAgain = 200 * time.Millisecond

// loadPatiently loads a chunk. While there are no descriptors or there is no memory to open
// its file, it waits, unless the queue is abandoned.
func (q *Queue) loadPatiently(at position) (*Chunk, error) {
	for said := false; ; said = true {
		c, err := q.load(at)
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) && !errors.Is(err, unix.ENOMEM) {
			return c, err
		}
		if !said {
			q.options.OnError(fmt.Errorf("queue: %w: it is opened as soon as that is possible", err))
		}
		select {
		case <-q.stop:
			return nil, err
		case <-time.After(openAgain):
		}
	}
}

// passOver goes on after a damaged chunk: with the one that begins where its header says
// that it ends, else with the next segment or with what memory holds.
func (q *Queue) passOver(at position, damaged *Chunk, until position, err error) {
	what := "it is passed over"
	if q.readAt = until; damaged != nil {
		q.readAt = q.normal(damaged.next)
	} else {
		what = "the rest of the file is passed over"
		for _, s := range q.segments {
			if s.id > at.segment && (position{segment: s.id}).before(until) {
				q.readAt = position{segment: s.id}
				break
			}
		}
	}
	q.options.OnError(fmt.Errorf("queue: %s: %w at byte %d: %s", q.path(at.segment), err, at.offset, what))
	if !q.readAt.before(until) { // the numbers end here
		next := q.number
		if len(q.fresh) > 0 {
			next = q.fresh[0].First
		}
		q.missing(next)
	}
}

// missing counts the items between what was expected and what there is.
func (q *Queue) missing(first uint64) {
	if first > q.expect {
		q.dropped[DropDamaged].Add(first - q.expect)
		q.expect = first
	}
}
