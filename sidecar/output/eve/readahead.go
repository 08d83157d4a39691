package eve

import (
	"io"
	"sync"

	"serveflow/sidecar/operate/memory"
)

// readAheadBytes is how many bytes may be read ahead: firstReadAhead, and what is over
// it as far as a budget has room.
const (
	readAheadBytes = 1 << 20
	firstReadAhead = 64 << 10
)

// readAhead reads ahead of the parser. Suricata buffers few records, and many flows
// may end at once.
type readAhead struct {
	from   io.Reader
	budget *memory.Budget

	mu    sync.Mutex
	moved sync.Cond
	ring  []byte
	// How many bytes were put in and taken out. Both are reset when the ring is
	// empty, so that a quiet connection touches little memory.
	in, out int
	err     error // what ended the reading
}

// newReadAhead reads from r until it ends, in its own goroutine.
func newReadAhead(r io.Reader, b *memory.Budget) *readAhead {
	e := &readAhead{from: r, budget: b, ring: make([]byte, firstReadAhead)}
	e.moved.L = &e.mu
	go e.fill()
	return e
}

func (e *readAhead) fill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.err == nil {
		for e.in-e.out == len(e.ring) && !e.grow() {
			e.moved.Wait()
		}
		if e.in == e.out {
			e.in, e.out = 0, 0
		}
		at := e.in % len(e.ring)
		room := e.ring[at:min(len(e.ring), at+len(e.ring)-(e.in-e.out))]
		e.mu.Unlock()
		n, err := e.from.Read(room)
		e.mu.Lock()
		e.in += n
		e.err = err
		e.moved.Signal()
	}
}

// grow doubles the ring, which is full.
func (e *readAhead) grow() bool {
	n := len(e.ring)
	if n == readAheadBytes || !e.budget.Take(n) {
		return false
	}
	ring := make([]byte, 2*n)
	at := e.out % n
	copy(ring[copy(ring, e.ring[at:]):], e.ring[:at])
	e.ring, e.in, e.out = ring, n, 0
	return true
}

// release gives back what the ring has taken, after reading has ended.
func (e *readAhead) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.budget.Give(len(e.ring) - firstReadAhead)
	e.ring = e.ring[:firstReadAhead]
}

// Read implements io.Reader.
func (e *readAhead) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.in == e.out {
		if e.err != nil {
			return 0, e.err
		}
		e.moved.Wait()
	}
	at := e.out % len(e.ring)
	n := copy(b, e.ring[at:min(len(e.ring), at+e.in-e.out)])
	e.out += n
	e.moved.Signal()
	return n, nil
}
