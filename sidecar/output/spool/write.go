package spool

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// write brings what was added to the files, in order.
func (q *Queue) write() {
	defer close(q.written)
	for range q.wake {
		time.Sleep(settle)
		q.adding.Lock()
		pending, closed := q.pending, q.closed
		q.pending = nil
		q.adding.Unlock()
		for _, c := range pending {
			q.accept(c)
		}
		if closed {
			q.endSegment()
			q.mu.Lock()
			q.stopped = true
			q.changed.Broadcast()
			q.mu.Unlock()
			return
		}
	}
}

// accept numbers a chunk, writes it, and has the reader see it.
func (q *Queue) accept(c *Chunk) {
	q.mu.Lock()
	c.First = q.number
	full := q.onDisk+int64(len(c.buf)) > q.options.MaxBytes
	q.mu.Unlock()
	c.seal()
	err := errFull
	if !full {
		err = q.append(c)
	}
	q.report(err)

	q.refusing.Store(int32(DropMemory))
	if full {
		q.refusing.Store(int32(DropFull))
	} else if err != nil {
		q.refusing.Store(int32(DropDisk))
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	c.onDisk = err == nil
	c.at, c.next = q.tail, q.tail
	if c.onDisk {
		c.next.offset += int64(len(c.buf))
		q.tail = c.next
		q.onDisk += int64(len(c.buf))
		q.segments[len(q.segments)-1].size = c.next.offset
	}
	q.number += uint64(c.Count)
	q.fresh = append(q.fresh, c)
	if q.memory.Load() > int64(q.options.Memory)/2 {
		q.forgetWritten()
	}
	q.changed.Signal()
}

var errFull = errors.New("the files have reached their bound")

// forgetWritten frees the memory of chunks that can be read from their files.
func (q *Queue) forgetWritten() {
	kept := q.fresh[:0]
	for _, c := range q.fresh {
		if !c.onDisk {
			kept = append(kept, c)
			continue
		}
		q.memory.Add(-int64(cap(c.buf)))
	}
	clear(q.fresh[len(kept):])
	q.fresh = kept
}

// append writes a chunk to the last segment, or to another.
func (q *Queue) append(c *Chunk) error {
	if q.writing != nil && q.tail.offset >= segmentBytes {
		q.endSegment()
	}
	if q.writing == nil {
		if err := q.beginSegment(); err != nil {
			return err
		}
	}
	if _, err := q.writing.WriteAt(c.buf, q.tail.offset); err != nil {
		// Nothing may stand there that looks like the beginning of a chunk.
		if cut := q.writing.Truncate(q.tail.offset); cut != nil {
			q.endSegment()
		}
		return err
	}
	return nil
}

func (q *Queue) beginSegment() error {
	q.mu.Lock()
	at := q.tail
	if n := len(q.segments); n > 0 && q.segments[n-1].id == at.segment {
		at = position{segment: at.segment + 1}
	}
	q.mu.Unlock()
	f, err := openFile(q.path(at.segment), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing, q.tail = f, at
	q.segments = append(q.segments, segment{id: at.segment})
	return nil
}

func (q *Queue) endSegment() {
	if q.writing == nil {
		return
	}
	if err := q.writing.Close(); err != nil {
		q.report(err)
	}
	q.writing = nil
}

// report tells of the first failure in a row, and of the end of them.
func (q *Queue) report(err error) {
	switch {
	case err != nil && !q.failing:
		q.failing = true
		q.options.OnError(fmt.Errorf("queue: %w: what comes now waits in memory alone, and what does not fit there is dropped", err))
	case err == nil && q.failing:
		q.failing = false
		q.options.OnError(errors.New("queue: the files take what comes again"))
	}
}
