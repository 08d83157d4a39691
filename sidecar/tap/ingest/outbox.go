package ingest

import (
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// The bounds of what waits to be sent to a peer, in bytes.
const (
	// outboxRoom is where a live tap begins to lose labels and a capture is
	// no longer read from.
	outboxRoom = 1 << 20
	// outboxLimit is where a capture loses labels too: all its flows have
	// ended at once and it takes none of their labels.
	outboxLimit = 256 << 20
)

// outbox is what waits to be sent to a peer. Shards put labels in and never
// wait; one goroutine writes.
type outbox struct {
	metrics *telemetry.Metrics
	log     zerolog.Logger
	mu      sync.Mutex
	work    sync.Cond // there is something to write, or it is over
	room    sync.Cond // there is less to write, or it is over
	buf     []byte
	spare   []byte
	encoder *wire.Encoder
	capture bool
	hurried bool // nobody waits for room any more
	over    bool // nothing more comes
	broken  bool // nothing more can be sent
	dropped uint64
}

func newOutbox(m *telemetry.Metrics) *outbox {
	o := &outbox{metrics: m}
	o.work.L, o.room.L = &o.mu, &o.mu
	o.encoder = wire.NewEncoder((*appender)(o))
	return o
}

// appender is where the encoder of an outbox writes to.
type appender outbox

func (a *appender) Write(b []byte) (int, error) {
	a.buf = append(a.buf, b...)
	return len(b), nil
}

// of says whose outbox it is. That of a capture loses nothing.
func (o *outbox) of(capture bool, log zerolog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.capture, o.log = capture, log
}

// Labels implements flow.Labels.
func (o *outbox) Labels(labels []wire.Label) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range labels {
		if o.over || o.broken || len(o.buf) > o.limit() {
			o.drop(uint64(len(labels) - i))
			break
		}
		if o.encoder.Label(&labels[i]) != nil {
			o.drop(1)
		}
	}
	o.work.Signal()
}

func (o *outbox) limit() int {
	if o.capture {
		return outboxLimit
	}
	return outboxRoom
}

func (o *outbox) drop(n uint64) {
	if o.dropped == 0 && !o.over && !o.broken {
		o.log.Warn().Msg("tap does not read its labels: they are dropped")
	}
	o.dropped += n
	o.metrics.Drops(telemetry.DropReplyFull, n)
}

func (o *outbox) lost() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

func (o *outbox) welcome(w wire.Welcome) { o.put(func() { o.encoder.Welcome(&w) }) }

func (o *outbox) synced(token uint64) { o.put(func() { o.encoder.Synced(token) }) }

// fail tells the peer why it is hung up on.
func (o *outbox) fail(code wire.ErrorCode, text string) {
	o.put(func() { o.encoder.Error(code, text) })
}

// finish says that nothing more comes: what is there is sent, then write
// returns.
func (o *outbox) finish() { o.put(func() { o.over = true }) }

// hurry lets nobody wait any more for the peer to take its labels.
func (o *outbox) hurry() { o.put(func() { o.hurried = true }) }

func (o *outbox) put(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		do()
	}
	o.work.Signal()
	o.room.Signal()
}

// stalled is how long a capture may take no labels before the log says so.
const stalled = 2 * time.Second

// wait waits until a capture that does not take its labels has taken some.
func (o *outbox) wait() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.full() {
		return
	}
	log := o.log
	late := time.AfterFunc(stalled, func() {
		log.Warn().Msg("tap does not read its labels: it is not read from until it does")
	})
	defer late.Stop()
	for o.full() {
		o.room.Wait()
	}
}

// full says that a capture has to take labels before it is read from.
func (o *outbox) full() bool {
	return o.capture && len(o.buf) > outboxRoom && !o.hurried && !o.over && !o.broken
}

// write sends until it is over. A peer that takes no more is not hung up on:
// what it has sent may still be on its way.
func (o *outbox) write(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.buf) == 0 && !o.over {
			o.work.Wait()
		}
		if len(o.buf) == 0 {
			// Flows of the tap may be remembered for long, and the outbox with them.
			o.buf, o.spare, o.encoder = nil, nil, nil
			return
		}
		out := o.buf
		o.buf = o.spare[:0]
		o.room.Signal()
		if !o.broken {
			o.mu.Unlock()
			_, err := w.Write(out)
			o.mu.Lock()
			o.broken = err != nil
		}
		o.spare = out
	}
}
