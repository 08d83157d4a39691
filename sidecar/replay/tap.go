package replay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TapOptions configure how a Tap plays a capture.
type TapOptions struct {
	// Sensor names where the flows come from. Flow numbers are unique within
	// a sensor: captures that are played at the same time need one each.
	Sensor string
	// Capture lets packet time alone run the sidecar's clock, so that results
	// are the same in every run. Otherwise the tap is a live one, whose
	// flows time out on the wall clock and which stops sending a flow once
	// its label has come.
	Capture bool
	// Meta sends META messages, without headers, instead of PACKETs.
	Meta bool
	// Speed is a factor of the capture's own pace: 1 is real time, 2 twice as
	// fast. 0 is as fast as the sidecar reads.
	Speed float64
	// Reconnect makes a live tap wait for the sidecar to come back when the
	// connection breaks, for at most Timeout.
	Reconnect bool
	// Timeout bounds how long the tap waits for WELCOME, for a sidecar that
	// does not read, and for SYNCED while nothing comes. 0: 30 s.
	Timeout time.Duration
	// OnLabel is called with every label, by one goroutine. It must return
	// soon: the sidecar holds back for a tap that does not read. If it is
	// nil, no labels are asked for.
	OnLabel func(wire.Label)
}

const defaultTimeout = 30 * time.Second

// Tap sends the flows of a capture to a sidecar, over its socket and in its
// protocol, as an IDS does.
type Tap struct {
	socket  string
	run     string // names this run over the capture
	options TapOptions
	conn    *connection
	out     *batch
	encode  *wire.Encoder
	message wire.Message // used again for every event
	wanted  wanted
	report  Report

	mu     sync.Mutex // guards closed, and setting conn
	closed bool
}

// Report tells what a Tap did.
type Report struct {
	// Capture counts the packets read and the flows found in them.
	Capture Counts
	// Events counts the PACKET or META messages sent.
	Events uint64
	// Labels counts the labels that came back.
	Labels uint64
	// Reconnects counts connections after the first, and Lost the messages
	// that were not delivered because one broke. Messages that the sidecar
	// had not read from a broken connection are not known.
	Reconnects, Lost uint64
	// Steps counts steps of the capture's clock that were not waited for: with
	// Speed, pauses of over 10 minutes and steps back of over a second.
	Steps int
	// Elapsed is the time from the first packet to SYNCED.
	Elapsed time.Duration
}

// SidecarError is an ERROR message of the sidecar, after which it closes the
// connection.
type SidecarError struct {
	Code wire.ErrorCode
	Text string
}

func (e *SidecarError) Error() string {
	return fmt.Sprintf("the sidecar says: %s (error %d)", e.Text, int(e.Code))
}

// lasting says whether connecting again cannot help.
func (e *SidecarError) lasting() bool {
	switch e.Code {
	case wire.CodeMalformed, wire.CodeVersion, wire.CodeOrder, wire.CodeRefused:
		return true
	}
	return false
}

// Dial connects to the sidecar that listens on a Unix socket.
func Dial(ctx context.Context, socket string, o TapOptions) (*Tap, error) {
	if o.Capture && o.Reconnect {
		return nil, errors.New("a capture cannot reconnect: only a live tap can")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	t := &Tap{socket: socket, run: rand.Text(), options: o, out: &batch{}}
	t.encode = wire.NewEncoder(t.out)
	if !o.Capture {
		t.wanted.flows = make(map[uint64]bool)
	}
	if err := t.dial(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// dial connects and says HELLO.
func (t *Tap) dial(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", t.socket)
	if err != nil {
		return fmt.Errorf("connecting to the sidecar (is it running, and may this user write to the socket?): %w", err)
	}
	t.out.reset()
	if err := t.encode.Hello(&wire.Hello{
		Engine: "replay", Sensor: t.options.Sensor, PID: os.Getpid(), Run: t.run,
		Capture: t.options.Capture, Meta: t.options.Meta, Reply: t.options.OnLabel != nil,
	}); err != nil {
		c.Close()
		return fmt.Errorf("HELLO: %w", err)
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.Close()
		return net.ErrClosed
	}
	t.conn = newConnection(c, t.options.Timeout, t.label)
	t.mu.Unlock()
	if err := t.conn.send(t.out); err != nil {
		c.Close()
		return err
	}
	return nil
}

// label takes a label from the goroutine that listens.
func (t *Tap) label(l wire.Label, ends bool) {
	if ends {
		t.wanted.labelled(l.Flow.Uint())
	}
	if t.options.OnLabel != nil {
		t.options.OnLabel(l)
	}
}

// Close closes the connection, and makes a Play that is under way return.
func (t *Tap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.conn.Close()
}

// redial waits for a sidecar to listen again.
func (t *Tap) redial(ctx context.Context, broken error) error {
	t.report.Lost += t.out.messages
	t.report.Labels += t.conn.labels.Load()
	t.conn.Close()
	<-t.conn.done
	until := time.Now().Add(t.options.Timeout)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := t.dial(ctx)
		if err == nil {
			t.report.Reconnects++
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || time.Now().After(until) {
			return errors.Join(broken, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
