package eve

import (
	"io"
	"sync"
)

// eagerBytes is how far an eager reader may be ahead.
const eagerBytes = 1 << 20

// eager reads ahead. Suricata holds few records for whom they are for, and many
// flows may end at once: what has come is taken before it is looked at.
type eager struct {
	from io.Reader

	mu    sync.Mutex
	moved sync.Cond
	ring  []byte
	// How many bytes were put in and taken out; both are 0 again when it is
	// empty, so that a quiet connection uses little of it.
	in, out int
	err     error // what ended the reading
}

// readEagerly reads from r, until that ends, in a goroutine of its own.
func readEagerly(r io.Reader) *eager {
	e := &eager{from: r, ring: make([]byte, eagerBytes)}
	e.moved.L = &e.mu
	go e.fill()
	return e
}

func (e *eager) fill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.err == nil {
		for e.in-e.out == len(e.ring) {
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

// Read implements io.Reader.
func (e *eager) Read(b []byte) (int, error) {
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
