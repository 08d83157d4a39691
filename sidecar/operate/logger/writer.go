package logger

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// room is how many bytes of lines may be queued; as many again may be in the
// process of being written.
const room = 1 << 20

// shutdownTime is how long Close waits for a reader that does not read.
const shutdownTime = time.Second

// writer writes lines to out in its own goroutine.
type writer struct {
	out  io.Writer
	gap  func(lost uint64) []byte // makes the line that reports lost lines
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex // held for memory operations only
	pending []byte     // whole lines
	closed  bool

	lost atomic.Uint64 // lines
}

func newWriter(out io.Writer, gap func(lost uint64) []byte) *writer {
	w := &writer{out: out, gap: gap, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes whole lines and drops what exceeds the room. It never fails.
func (w *writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.pending)+len(line) > room {
		w.lost.Add(lines(line))
		return len(line), nil
	}
	w.pending = append(w.pending, line...)
	w.notify()
	return len(line), nil
}

func (w *writer) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes the queue until the log is closed.
func (w *writer) run() {
	defer close(w.done)
	reported := uint64(0) // of those lost
	var buf []byte
	for range w.wake {
		w.mu.Lock()
		buf, w.pending = w.pending, buf[:0]
		closed := w.closed
		w.mu.Unlock()
		lost := w.lost.Load()
		if n, err := w.out.Write(buf); err != nil {
			w.lost.Add(lines(buf[n:]))
		} else if lost > reported {
			if _, err := w.out.Write(w.gap(lost - reported)); err == nil {
				reported = lost
			}
		}
		if closed {
			return
		}
	}
}

func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.notify()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(shutdownTime):
	}
}

func lines(b []byte) uint64 { return uint64(bytes.Count(b, []byte{'\n'})) }
