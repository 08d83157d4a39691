package replay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"serveflow/sidecar/tap/wire"
)

// batch collects messages, so that one write carries many.
type batch struct {
	b        []byte
	messages uint64 // in b
	total    uint64 // ever put into b
}

// batchSize is when a batch is written, in bytes.
const batchSize = 64 << 10

func (b *batch) Write(message []byte) (int, error) {
	b.b = append(b.b, message...)
	b.messages++
	b.total++
	return len(message), nil
}

func (b *batch) reset() { b.b, b.messages = b.b[:0], 0 }

// connection is one connection to the sidecar. One goroutine writes; another reads
// all the time, so that the two ends never wait for each other.
type connection struct {
	net.Conn
	timeout time.Duration
	onLabel labelFunc

	need     atomic.Pointer[wire.Welcome] // nil before the first WELCOME
	welcomed chan struct{}                // closed when there is one
	synced   atomic.Uint64                // token of the last SYNCED
	answered chan struct{}                // tells of a SYNCED
	heard    atomic.Uint64                // messages read
	labels   atomic.Uint64
	done     chan struct{} // closed when reading has ended, for the reason err
	err      error
}

// labelFunc takes a label, and whether nothing more of its flow is wanted.
type labelFunc func(l wire.Label, ends bool)

func newConnection(c net.Conn, timeout time.Duration, onLabel labelFunc) *connection {
	n := &connection{
		Conn: c, timeout: timeout, onLabel: onLabel,
		welcomed: make(chan struct{}), answered: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go n.listen()
	return n
}

func (n *connection) listen() {
	defer close(n.done)
	d := wire.NewDecoder(n.Conn)
	var m wire.Message
	for {
		if err := d.Next(&m); err == io.EOF {
			n.err = errors.New("the sidecar closed the connection")
			return
		} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) { // callers take the first for a capture that is cut
			n.err = fmt.Errorf("the sidecar closed the connection: %v", err)
			return
		} else if err != nil {
			n.err = fmt.Errorf("reading from the sidecar: %w", err)
			return
		}
		n.heard.Add(1)
		switch m.Kind {
		case wire.KindLabel:
			n.labels.Add(1)
			need := n.need.Load()
			n.onLabel(m.Label, need == nil || !need.AfterLabel)
		case wire.KindWelcome:
			w := m.Welcome
			if n.need.Swap(&w) == nil {
				close(n.welcomed)
			}
		case wire.KindSynced:
			n.synced.Store(m.Token)
			select {
			case n.answered <- struct{}{}:
			default: // an error was reported before
			}
		case wire.KindError:
			n.err = &SidecarError{Code: m.Code, Text: m.Text}
			return
		}
	}
}

// send writes a batch and empties it.
func (n *connection) send(b *batch) error {
	if len(b.b) == 0 {
		return nil
	}
	if err := n.SetWriteDeadline(time.Now().Add(n.timeout)); err != nil {
		return n.because(err)
	}
	if _, err := n.Write(b.b); err != nil {
		return n.because(err)
	}
	b.reset()
	return nil
}

// because explains why a write failed: with the sidecar's last error, if it sent
// one.
func (n *connection) because(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the sidecar has not read its socket for %v", n.timeout)
	}
	select {
	case <-n.done:
		return n.err
	case <-time.After(time.Second):
		return fmt.Errorf("writing to the sidecar: %w", err)
	}
}

// welcome waits for the first WELCOME.
func (n *connection) welcome() error {
	select {
	case <-n.welcomed:
		return nil
	case <-n.done:
		return n.err
	case <-time.After(n.timeout):
		return fmt.Errorf("no WELCOME from the sidecar for %v", n.timeout)
	}
}

// sync waits for SYNCED with the given token, as long as anything arrives.
func (n *connection) sync(token uint64) error {
	for {
		heard := n.heard.Load()
		var failed error
		select {
		case <-n.answered:
		case <-n.done:
			failed = n.err
		case <-time.After(n.timeout):
			if n.heard.Load() == heard {
				failed = fmt.Errorf("nothing received from the sidecar for %v while waiting for SYNCED", n.timeout)
			}
		}
		if n.synced.Load() == token {
			return nil
		}
		if failed != nil {
			return failed
		}
	}
}
