// Package logfile appends lines to a file in the background: for logs whose
// writers must not wait for a disk.
//
//	log, err := logfile.Open("/var/log/serveflow/eve.json", logfile.Options{
//		Name: "EVE log", Key: "eve.output", MaxBytes: 256 << 20, Keep: 4, OnError: report,
//	})
//	…
//	log.Add(lines, 2) // by any goroutine; never waits
//	…
//	log.Reopen()      // after logrotate moved the file
//	log.Close()
//
// The path may also be that of a FIFO, or "unix:" and that of a Unix stream
// socket that somebody else listens on.
//
// What the package promises:
//   - Nobody else with this package writes to the file while it is open. A file
//     that is removed is made anew.
//   - A file that is not this log's is neither written to nor cut, and nothing but the
//     file that is open is rotated: of a symbolic link, that is what it leads to. What
//     is reached by way of /dev or /proc is another process's, and is only written to.
//   - Every line in the file is whole. A line cut short by a crash is removed
//     when the file is opened next; one cut short by a full disk is completed
//     when there is room again; one cut short by a connection that broke begins
//     again on the next.
//   - A line is in the file at most 100 ms after Add, if the disk takes it.
//   - Add does not block on the disk and does not allocate once its buffers
//     have grown. What a disk that is slow or full, or a reader that stands
//     still, leaves behind is held in memory up to a fixed bound and dropped
//     beyond it, and counted.
//   - After an error it goes on trying and recovers by itself.
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

// How long lines gather before they are written, and how long a file that
// failed is left alone. Together with the write itself the first stays well
// under the 100 ms that are promised.
const (
	gather = 50 * time.Millisecond
	retry  = time.Second
)

// Options say how a File is kept.
type Options struct {
	// Name is what hints call the log, such as "label log", and Key what the
	// configuration calls its path.
	Name, Key string
	// MaxBytes is the size at which the file is rotated, in bytes; 0: never.
	// A single line that is longer gets a file for itself.
	MaxBytes int64
	// Keep is how many rotated files are kept, as path.1 (the newest) to
	// path.Keep. With 0 the full file is deleted.
	Keep int
	// Buffer is how many bytes may wait for the file; as many again may be on
	// their way. 0: 8 MiB.
	Buffer int
	// MaxLine is more than a line can be long, in bytes. 0: 64 KiB.
	MaxLine int
	// IsLine says whether text is the beginning of a line of this log, or all of it.
	// A file that has no such line is somebody else's, which is not written to. nil:
	// whatever begins with a brace.
	IsLine func(text []byte) bool
	// OnError, if set, is told when writing begins to fail, and with a
	// *RecoveredError when it works again. It is not told of the failures in
	// between. It must not call the log.
	OnError func(error)
}

// RecoveredError tells that a log works again.
type RecoveredError struct {
	Path    string
	Dropped int64 // lines lost while it did not
}

func (e *RecoveredError) Error() string {
	return fmt.Sprintf("%s: writing works again; %d lines were lost", e.Path, e.Dropped)
}

// Stats counts what a File did since it was opened.
type Stats struct {
	Written   int64 // lines in the file
	Dropped   int64 // lines that found the memory bound full
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

// Open opens or creates the file at path, mode 0640, and cuts off a last line
// that was not finished (see Repaired). A missing directory is created if its
// parent exists. A socket that nobody listens on yet is no error.
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

// Repaired returns how many bytes of unfinished last lines were cut off when
// files were opened.
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

// run writes what was queued, a little later so that it is worth a system
// call, and tries again while the file fails.
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

// Flush writes what was queued before the call to the file, or returns why it
// cannot. What could not be written is kept and tried again.
func (f *File) Flush() error {
	err := f.out.flush()
	if err != nil {
		notify(f.wake)
	}
	return err
}

// take exchanges the queued lines for an empty buffer.
func (f *File) take(empty []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.pending
	f.pending, f.lines = empty[:0], 0
	return b
}

// Reopen flushes and opens the path anew, after logrotate or a person moved
// the file. If that fails, the old file remains in use. It does nothing to a
// FIFO or a socket, which nobody rotates.
func (f *File) Reopen() error {
	if f.out.streams.Load() {
		return nil
	}
	flushed := f.Flush()
	if err := f.out.reopen(); err != nil {
		return err
	}
	if flushed != nil {
		return f.Flush() // what the old file did not take may go into the new one
	}
	return nil
}

// Close flushes and closes the file. The error is the flush's: then what it
// could not write is lost and counted as dropped. The reader of a FIFO or a
// socket is waited for, but not for long.
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
