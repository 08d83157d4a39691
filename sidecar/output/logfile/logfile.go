// Package logfile appends lines to a file in the background, for logs whose writers
// must not wait for a disk.
//
//	log, err := logfile.Open("/var/log/serveflow/eve.json", logfile.Options{
//		Name: "EVE log", Key: "eve.output", MaxBytes: 256 << 20, Keep: 4, OnError: report,
//	})
//	…
//	log.Add(lines, 2) // by any goroutine; never waits
//	…
//	log.Reopen()      // after logrotate has moved the file
//	log.Close()
//
// The path may also be a FIFO, or "unix:" with the path of a Unix stream socket
// that another process listens on.
//
// What the package promises:
//   - No other process that uses this package writes to the file while it is open.
//     A removed file is created again.
//   - A file of something else is neither written to nor truncated, and only the
//     open file is rotated: for a symbolic link, its target. A path through /dev or
//     /proc belongs to another process, and is only written to.
//   - Every line in the file is whole. A line that a crash has cut is removed when
//     the file is opened next; one that a full disk has cut is completed when there
//     is room; one that a lost connection has cut is sent again on the next.
//   - A line is in the file at most 100 ms after Add, if the disk takes it.
//   - Add does not block on the disk and does not allocate once its buffers have
//     grown. Lines that a slow or full disk, or a reader that does not read, has
//     not taken are kept in memory up to a fixed bound, then dropped and counted.
//   - After an error it retries and recovers by itself.
package logfile

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The defaults of Options.
const (
	defaultBuffer  = 8 << 20
	defaultMaxLine = 64 << 10
)

// eager is how many bytes are written without waiting for more.
const eager = 256 << 10

// How long lines are gathered before they are written, and how long after a failure
// the next try is. The first leaves time for the write within the promised 100 ms.
const (
	gather = 50 * time.Millisecond
	retry  = time.Second
)

// Options configure a File.
type Options struct {
	// Name is the log's name in hints, such as "label log", and Key the
	// configuration key of its path.
	Name, Key string
	// MaxBytes is the size at which the file is rotated, in bytes; 0: never.
	// A single line that is longer gets a file for itself.
	MaxBytes int64
	// Keep is the number of rotated files, from path.1 (the newest) to path.Keep.
	// With 0 the full file is deleted.
	Keep int
	// Buffer is how many bytes may be queued for the file; as many again may be in
	// the process of being written. 0: 8 MiB.
	Buffer int
	// MaxLine is an upper bound of a line's length, in bytes. 0: 64 KiB.
	MaxLine int
	// IsLine reports whether text is the beginning of a line of this log, or all
	// of it. A file without such a line belongs to something else and is not
	// written to. nil: every line that begins with a brace.
	IsLine func(text []byte) bool
	// OnError, if set, is called when writing begins to fail, and with a
	// *RecoveredError when it works again, but not for the failures in between. It
	// must not call the log.
	OnError func(error)
}

// RecoveredError reports that a log works again.
type RecoveredError struct {
	Path    string
	Dropped int64 // lines lost meanwhile
}

func (e *RecoveredError) Error() string {
	return fmt.Sprintf("%s: writing works again; %d lines were lost", e.Path, e.Dropped)
}

// Stats are counters since a File was opened.
type Stats struct {
	Written   int64 // lines in the file
	Dropped   int64 // lines beyond the memory bound
	Errors    int64 // failed writes, rotations and openings
	Rotations int64
}

// File is a log. Its methods may be called by many goroutines at once.
type File struct {
	path string
	o    Options

	mu      sync.Mutex // held for memory operations only
	pending []byte     // whole lines
	lines   int64      // of pending
	closed  bool

	out out // with its own lock

	wake chan struct{} // pending is no longer empty
	full chan struct{} // pending is large
	stop chan struct{}
	done chan struct{}

	written, dropped, errors, rotations, repaired atomic.Int64
}

// Open opens or creates the file at path, mode 0640, and removes an unfinished last
// line (see Repaired). A missing directory is created if its parent exists. A
// socket that nobody listens on yet is no error.
func Open(path string, o Options) (*File, error) { return open(path, o, openerOf(path, o)) }

func open(path string, o Options, opener opener) (*File, error) {
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.MaxLine == 0 {
		o.MaxLine = defaultMaxLine
	}
	if o.IsLine == nil {
		o.IsLine = func(text []byte) bool { return text[0] == '{' }
	}
	f := &File{
		path: path,
		o:    o,
		wake: make(chan struct{}, 1),
		full: make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	f.out = out{log: f, open: opener}
	if err := f.out.begin(); err != nil {
		return nil, err
	}
	go f.run()
	return f, nil
}

// Repaired returns how many bytes of unfinished last lines were removed when files
// were opened.
func (f *File) Repaired() int64 { return f.repaired.Load() }

// Stats returns the counters.
func (f *File) Stats() Stats {
	return Stats{
		Written:   f.written.Load(),
		Dropped:   f.dropped.Load(),
		Errors:    f.errors.Load(),
		Rotations: f.rotations.Load(),
	}
}

// Add appends n whole lines. It copies them, does not wait for the disk and
// drops what exceeds the memory bound. After Close everything is dropped.
func (f *File) Add(lines []byte, n int64) {
	f.mu.Lock()
	before := len(f.pending)
	if f.closed || before+len(lines) > f.o.Buffer {
		f.mu.Unlock()
		f.dropped.Add(n)
		return
	}
	f.pending = append(f.pending, lines...)
	f.lines += n
	f.mu.Unlock()
	if before == 0 {
		notify(f.wake)
	}
	if before < eager && before+len(lines) >= eager {
		notify(f.full)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes the queue, a little later so that more lines share a system call, and
// retries while the file fails.
func (f *File) run() {
	defer close(f.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-f.wake:
		case <-f.stop:
			return
		}
		for pause := gather; ; pause = retry {
			timer.Reset(pause)
			select {
			case <-timer.C:
			case <-f.full:
			case <-f.stop:
				return
			}
			if f.Flush() == nil {
				break
			}
		}
	}
}

// Flush writes what was queued before the call. After an error, what could not be
// written stays queued.
func (f *File) Flush() error {
	err := f.out.flush()
	if err != nil {
		notify(f.wake)
	}
	return err
}

// take swaps the queue for an empty buffer.
func (f *File) take(empty []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.pending
	f.pending, f.lines = empty[:0], 0
	return b
}

// Reopen flushes and reopens the path, after logrotate or a person has moved the
// file. If that fails, the old file remains in use. It does nothing to a FIFO or a
// socket, which nobody rotates.
func (f *File) Reopen() error {
	if f.out.streams.Load() {
		return nil
	}
	flushed := f.Flush()
	if err := f.out.reopen(); err != nil {
		return err
	}
	if flushed != nil {
		return f.Flush() // what the old file did not take goes to the new one
	}
	return nil
}

// Close flushes and closes the file. The error is the flush's; then unwritten lines
// are lost and counted as dropped. It waits for the reader of a FIFO or a socket,
// but not for long.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.mu.Unlock()
	f.out.setDeadline()
	close(f.stop)
	<-f.done
	err := f.out.flush()
	f.dropped.Add(f.out.lost())
	f.mu.Lock()
	f.dropped.Add(f.lines)
	f.mu.Unlock()
	if e := f.out.close(); err == nil {
		err = e
	}
	return err
}

func countLines(b []byte) int64 { return int64(bytes.Count(b, []byte{'\n'})) }
