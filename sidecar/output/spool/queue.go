package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// gather is how many bytes of items are put into one chunk.
const gather = 256 << 10

// settle is how long the writer lets items gather that come one by one.
const settle = 2 * time.Millisecond

// Options say where a queue is and what it may take.
type Options struct {
	Dir      string // made if it is not there; one process at a time
	MaxBytes int64  // of all files
	Memory   int    // bytes of chunks that the receiver has not taken
	// OnError is called when the disk begins to refuse writes or files, and of what
	// was passed over; not of each chunk.
	OnError func(error)
}

// Drop says why items were dropped.
type Drop uint8

// Why items are dropped.
const (
	DropMemory  Drop = iota // memory is full: the disk is slower than what comes, or the queue is closed
	DropFull                // the files have reached their bound, and memory is full
	DropDisk                // the disk takes nothing, and memory is full
	DropDamaged             // damaged or missing on disk
	Drops                   // how many there are
)

// Stats are a queue's counts since it was opened.
type Stats struct {
	Waiting   uint64    // items that are not done
	Oldest    time.Time // when the oldest of these came; zero: none waits
	Spilled   uint64    // items that were read back from files
	OnDisk    int64     // bytes of all files
	InMemory  int       // bytes that the receiver has not taken
	Dropped   [Drops]uint64
	Recovered uint64 // items that were there when the queue was opened
}

// Queue is an open queue.
type Queue struct {
	options Options
	lock    *os.File
	cursor  *os.File
	out     chan *Chunk
	stop    chan struct{}
	written chan struct{} // closed when the writer has ended
	running sync.WaitGroup
	ended   sync.Once
	end     error

	adding   sync.Mutex // held for a copy only: shards wait for it
	pending  []*Chunk   // not yet numbered
	closed   bool
	memory   atomic.Int64 // bytes of pending and fresh
	refusing atomic.Int32 // the Drop of items that memory has no room for
	wake     chan struct{}

	mu       sync.Mutex // never held while the disk is busy
	changed  *sync.Cond // fresh, tail or stopped
	fresh    []*Chunk   // the last chunks, as far as memory holds them, in order
	segments []segment  // in order; the last is being written, if writing is not nil
	onDisk   int64
	tail     position
	number   uint64 // of the next item
	doneTo   uint64 // the first item that is not done
	taken    []*Chunk
	stopped  bool // the writer has ended

	// Of the receiver alone.
	lost bool // the cursor could not be written
	// Of the writer alone.
	writing *os.File
	failing bool
	// Of the reader alone.
	reading   *os.File
	readingID uint64
	readAt    position
	expect    uint64

	spilled   atomic.Uint64
	recovered uint64
	dropped   [Drops]atomic.Uint64
	chunks    sync.Pool
}

// Open opens the queue in a directory, with what an earlier run has left there.
func Open(o Options) (*Queue, error) {
	q, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	q.keepCursor(q.doneTo, q.readAt) // while there is room for it
	q.running.Go(q.write)
	q.running.Go(q.read)
	return q, nil
}

func open(o Options) (*Queue, error) {
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, err
	}
	held, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		options: o, lock: held, out: make(chan *Chunk), stop: make(chan struct{}),
		written: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	q.changed = sync.NewCond(&q.mu)
	q.chunks.New = func() any { return &Chunk{buf: make([]byte, headerSize, 8<<10)} }
	err = q.recover()
	if err == nil {
		q.recovered = q.number - q.doneTo
		q.cursor, err = openFile(filepath.Join(o.Dir, cursorFile), os.O_RDWR|os.O_CREATE)
	}
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return q, nil
}

// Add adds items, n of them, each made by AppendItem or between BeginItem and
// EndItem. It copies them and does not wait; past the bound on memory they are
// dropped and counted, as they are after Close.
func (q *Queue) Add(items []byte, n int) {
	q.adding.Lock()
	defer q.adding.Unlock()
	var c *Chunk
	if last := len(q.pending) - 1; last >= 0 && len(q.pending[last].buf)+len(items) <= headerSize+gather {
		c = q.pending[last]
	}
	grows := c == nil || len(c.buf)+len(items) > cap(c.buf)
	if q.closed || grows && q.memory.Load() >= int64(q.options.Memory) {
		q.dropped[q.refusing.Load()].Add(uint64(n))
		return
	}
	if c == nil {
		c = q.chunks.Get().(*Chunk)
		c.buf, c.Count, c.Arrived = c.buf[:headerSize], 0, time.Now()
		q.pending = append(q.pending, c)
		q.memory.Add(int64(cap(c.buf)))
	}
	before := cap(c.buf)
	c.buf = append(c.buf, items...)
	c.Count += n
	q.memory.Add(int64(cap(c.buf) - before))
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Chunks gives the chunks in order. It is closed by Close when the queue is empty
// or, before that, by Abandon.
func (q *Queue) Chunks() <-chan *Chunk { return q.out }

// Done says that the receiver has dealt with a chunk. Chunks are done in their
// order, each once; none is used afterwards.
func (q *Queue) Done(c *Chunk) {
	q.mu.Lock()
	q.taken[0] = nil // the array is kept
	q.taken = q.taken[1:]
	q.doneTo = c.First + uint64(c.Count)
	at := q.normal(c.next)
	var gone []segment
	for len(q.segments) > 0 && q.segments[0].id < at.segment {
		gone = append(gone, q.segments[0])
		q.onDisk -= q.segments[0].size
		q.segments = q.segments[1:]
	}
	number := q.doneTo
	q.mu.Unlock()
	q.keepCursor(number, at)
	for _, s := range gone {
		if err := os.Remove(q.path(s.id)); err != nil {
			q.options.OnError(fmt.Errorf("queue: %w", err))
		}
	}
	// A large chunk for a few items would take the place of many.
	if cap(c.buf) <= min(2*gather, q.options.Memory/8) {
		q.chunks.Put(&Chunk{buf: c.buf[:headerSize]})
	}
	c.buf = nil
}

// keepCursor notes on disk what is done.
func (q *Queue) keepCursor(number uint64, at position) {
	err := writeCursor(q.cursor, number, at)
	if err != nil && !q.lost {
		q.options.OnError(fmt.Errorf("queue: %w: what is done now will be given again after a restart", err))
	}
	q.lost = err != nil
}

// normal is the same position, in the next segment if it is the end of one.
func (q *Queue) normal(p position) position {
	if len(q.segments) == 0 {
		return q.tail
	}
	if first := q.segments[0].id; p.segment < first { // done to its end, and removed
		return position{segment: first}
	}
	for i, s := range q.segments {
		if s.id == p.segment && p.offset >= s.size && s.id != q.tail.segment {
			if i+1 < len(q.segments) {
				return position{segment: q.segments[i+1].id}
			}
			return q.tail
		}
	}
	return p
}

// Stats returns the counts.
func (q *Queue) Stats() Stats {
	s := Stats{Spilled: q.spilled.Load(), InMemory: int(q.memory.Load()), Recovered: q.recovered}
	for i := range s.Dropped {
		s.Dropped[i] = q.dropped[i].Load()
	}
	q.adding.Lock()
	for _, c := range q.pending {
		s.Waiting += uint64(c.Count)
		if s.Oldest.IsZero() {
			s.Oldest = c.Arrived
		}
	}
	q.adding.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	s.OnDisk = q.onDisk
	s.Waiting += q.number - q.doneTo
	switch {
	case len(q.taken) > 0:
		s.Oldest = q.taken[0].Arrived
	case len(q.fresh) > 0:
		s.Oldest = q.fresh[0].Arrived
	}
	return s
}

// Close takes no more items and writes those that wait to their files. The receiver
// may go on: Chunks is closed when it has everything.
func (q *Queue) Close() {
	q.adding.Lock()
	q.closed = true
	q.adding.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	<-q.written
}

// Abandon ends the queue, after Close, with what is left in its files. What was in
// memory alone and is not done is dropped and counted.
func (q *Queue) Abandon() error {
	q.Close()
	q.ended.Do(func() {
		close(q.stop)
		q.mu.Lock()
		q.changed.Broadcast()
		q.mu.Unlock()
		q.running.Wait()
		for _, c := range slices.Concat(q.taken, q.fresh) {
			if !c.onDisk {
				q.dropped[q.refusing.Load()].Add(uint64(c.Count))
			}
		}
		q.closeReading()
		q.end = errors.Join(q.cursor.Close(), q.lock.Close())
	})
	return q.end
}
