package sink

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPending = 8 << 20   // bytes that wait for the file; as many again may be on their way
	chunk      = 32 << 10  // bytes encoded before they are handed over
	eager      = 256 << 10 // bytes that are written without waiting for more
)

// How long records gather before they are written, and how long a file that
// failed is left alone. Together with the write itself the first stays well
// under the 100 ms that are promised.
const (
	gather = 50 * time.Millisecond
	retry  = time.Second
)

// Options say how a LabelLog keeps its files.
type Options struct {
	// MaxBytes is the size at which the file is rotated, in bytes; 0: never.
	// A single line that is longer gets a file for itself.
	MaxBytes int64
	// Keep is how many rotated files are kept, as path.1 (the newest) to
	// path.Keep. With 0 the full file is deleted.
	Keep int
	// OnError, if set, is told when writing begins to fail, and with a
	// *RecoveredError when it works again. It is not told of the failures in
	// between. It must not call the log.
	OnError func(error)
}

// RecoveredError tells that a label log works again.
type RecoveredError struct {
	Path    string
	Dropped int64 // records lost while it did not
}

func (e *RecoveredError) Error() string {
	return fmt.Sprintf("label log %s: writing again, %d records were lost", e.Path, e.Dropped)
}

// Stats counts what a LabelLog did since it was opened.
type Stats struct {
	Written   int64 // records in the file
	Dropped   int64 // records that found the memory bound full
	Errors    int64 // failed writes, rotations and openings
	Rotations int64
}

// LabelLog is the file labels.jsonl. Its methods may be called by many
// goroutines at once.
type LabelLog struct {
	path string
	o    Options

	mu      sync.Mutex // held for memory operations only
	pending []byte     // whole lines
	lines   int64      // of pending
	closed  bool

	file outFile // with its own lock

	scratch sync.Pool     // *[]byte, for encoding outside of mu
	wake    chan struct{} // pending is no longer empty
	full    chan struct{} // pending is large
	stop    chan struct{}
	done    chan struct{}

	written, dropped, errors, rotations, repaired atomic.Int64
}

// OpenLabelLog opens or creates the file at path, mode 0640, and cuts off a
// last line that was not finished (see Repaired). A missing directory is
// created if its parent exists.
func OpenLabelLog(path string, o Options) (*LabelLog, error) { return open(path, o, openFile) }

func open(path string, o Options, opener opener) (*LabelLog, error) {
	l := &LabelLog{
		path: path,
		o:    o,
		wake: make(chan struct{}, 1),
		full: make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	l.scratch.New = func() any { b := make([]byte, 0, chunk+4096); return &b }
	l.file = outFile{log: l, open: opener}
	if err := l.file.reopen(); err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

// Repaired returns how many bytes of unfinished last lines were cut off when
// files were opened.
func (l *LabelLog) Repaired() int64 { return l.repaired.Load() }

// Stats returns the counters.
func (l *LabelLog) Stats() Stats {
	return Stats{
		Written:   l.written.Load(),
		Dropped:   l.dropped.Load(),
		Errors:    l.errors.Load(),
		Rotations: l.rotations.Load(),
	}
}

// Write appends records. It copies what it needs, does not wait for the disk
// and drops what exceeds the memory bound. After Close everything is dropped.
func (l *LabelLog) Write(recs []Record) {
	buf := l.scratch.Get().(*[]byte)
	b, lines := (*buf)[:0], int64(0)
	for i := range recs {
		b = recs[i].Append(b)
		lines++
		if len(b) >= chunk {
			l.add(b, lines)
			b, lines = b[:0], 0
		}
	}
	if lines > 0 {
		l.add(b, lines)
	}
	*buf = b
	l.scratch.Put(buf)
}

// add queues whole lines.
func (l *LabelLog) add(b []byte, lines int64) {
	l.mu.Lock()
	before := len(l.pending)
	if l.closed || before+len(b) > maxPending {
		l.mu.Unlock()
		l.dropped.Add(lines)
		return
	}
	l.pending = append(l.pending, b...)
	l.lines += lines
	l.mu.Unlock()
	if before == 0 {
		notify(l.wake)
	}
	if before < eager && before+len(b) >= eager {
		notify(l.full)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what was queued, a little later so that it is worth a system
// call, and tries again while the file fails.
func (l *LabelLog) run() {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.wake:
		case <-l.stop:
			return
		}
		for pause := gather; ; pause = retry {
			timer.Reset(pause)
			select {
			case <-timer.C:
			case <-l.full:
			case <-l.stop:
				return
			}
			if l.Flush() == nil {
				break
			}
		}
	}
}

// Flush writes what was queued before the call to the file, or returns why it
// cannot. What could not be written is kept and tried again.
func (l *LabelLog) Flush() error {
	err := l.file.flush()
	if err != nil {
		notify(l.wake)
	}
	return err
}

// take exchanges the queued lines for an empty buffer.
func (l *LabelLog) take(empty []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.pending
	l.pending, l.lines = empty[:0], 0
	return b
}

// Reopen flushes and opens the path anew, after logrotate or a person moved
// the file. If that fails, the old file remains in use.
func (l *LabelLog) Reopen() error {
	flushed := l.Flush()
	if err := l.file.reopen(); err != nil {
		return err
	}
	if flushed != nil {
		return l.Flush() // what the old file did not take may go into the new one
	}
	return nil
}

// Close flushes and closes the file. The error is the flush's: then what it
// could not write is lost and counted as dropped.
func (l *LabelLog) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	err := l.file.flush()
	l.dropped.Add(l.file.lost())
	l.mu.Lock()
	l.dropped.Add(l.lines)
	l.mu.Unlock()
	if e := l.file.close(); err == nil {
		err = e
	}
	return err
}

func countLines(b []byte) int64 { return int64(bytes.Count(b, []byte{'\n'})) }
