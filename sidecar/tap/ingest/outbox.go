package ingest

import (
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// The bounds of what is queued for a peer, in bytes.
const (
	// outboxFree is what every peer has room for. What is over it is taken, in pieces
	// of as many, from a budget that all peers share.
	outboxFree = 64 << 10
	// outboxSoftLimit is where a live tap begins to lose labels and a capture is
	// no longer read from.
	outboxSoftLimit = 1 << 20
	// outboxHardLimit is where a capture loses labels too: all its flows have
	// ended at once and it reads none of their labels. The budget may end before.
	outboxHardLimit = 256 << 20
)

// outbox queues what is to be sent to a peer. Shards add labels and never wait; one
// goroutine writes.
type outbox struct {
	metrics   *telemetry.Metrics
	budget    *memory.Budget
	log       zerolog.Logger
	mu        sync.Mutex
	work      sync.Cond // there is something to write, or it is finished
	room      sync.Cond // there is less to write, or it is finished
	buf       []byte
	spare     []byte
	sending   int // bytes that are being written
	taken     int // of the budget
	encoder   *wire.Encoder
	capture   bool
	noWaiting bool // waitForRoom returns at once
	finished  bool // nothing more is added
	broken    bool // nothing more can be sent
	dropped   uint64
}

func newOutbox(m *telemetry.Metrics, b *memory.Budget) *outbox {
	o := &outbox{metrics: m, budget: b}
	o.work.L, o.room.L = &o.mu, &o.mu
	o.encoder = wire.NewEncoder((*appender)(o))
	return o
}

// appender is the writer of an outbox's encoder.
type appender outbox

func (a *appender) Write(b []byte) (int, error) {
	a.buf = append(a.buf, b...)
	return len(b), nil
}

// configure sets the tap's mode: the outbox of a capture has the hard limit.
func (o *outbox) configure(capture bool, log zerolog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.capture, o.log = capture, log
}

// Labels implements flow.Labels.
func (o *outbox) Labels(labels []wire.Label) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range labels {
		if o.finished || o.broken || len(o.buf) > o.limit() || !o.hasRoom() {
			o.drop(uint64(len(labels) - i))
			break
		}
		if o.encoder.Label(&labels[i]) != nil {
			o.drop(1)
		}
	}
	o.work.Signal()
}

// hasRoom reports whether more may be queued, and takes of the budget for it.
func (o *outbox) hasRoom() bool {
	for len(o.buf)+o.sending >= outboxFree+o.taken {
		// Twice, for buffers grow to up to twice what is in them.
		if !o.budget.Take(2 * outboxFree) {
			return false
		}
		o.taken += outboxFree
	}
	return true
}

// giveBack gives back what is not needed any more.
func (o *outbox) giveBack() {
	if o.taken > 0 && len(o.buf) < outboxFree {
		o.budget.Give(2 * o.taken)
		o.taken = 0
	}
}

func (o *outbox) limit() int {
	if o.capture {
		return outboxHardLimit
	}
	return outboxSoftLimit
}

func (o *outbox) drop(n uint64) {
	if o.dropped == 0 && !o.finished && !o.broken {
		o.log.Warn().Msg("tap is not reading its labels; they are dropped")
	}
	o.dropped += n
	o.metrics.Count(telemetry.DropReplyFull, n)
}

func (o *outbox) lost() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

func (o *outbox) welcome(w wire.Welcome) { o.update(func() { o.encoder.Welcome(&w) }) }

func (o *outbox) synced(token uint64) { o.update(func() { o.encoder.Synced(token) }) }

// unread reports whether a live tap has left so many SYNCED unread that it asks for
// no more.
func (o *outbox) unread() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.capture && (len(o.buf) > 2*outboxSoftLimit || !o.hasRoom())
}

// sendError sends the peer the error that ends its connection.
func (o *outbox) sendError(code wire.ErrorCode, text string) {
	o.update(func() { o.encoder.Error(code, text) })
}

// finish notes that nothing more is added: sendAll sends what is queued and returns.
func (o *outbox) finish() { o.update(func() { o.finished = true }) }

// stopWaiting ends waitForRoom, now and from now on.
func (o *outbox) stopWaiting() { o.update(func() { o.noWaiting = true }) }

func (o *outbox) update(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.finished {
		do()
	}
	o.work.Signal()
	o.room.Signal()
}

// stallWarning is for how long a capture may read no labels before a warning.
const stallWarning = 2 * time.Second

// waitForRoom waits until a capture that is not reading its labels reads some.
func (o *outbox) waitForRoom() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.full() {
		return
	}
	log := o.log
	late := time.AfterFunc(stallWarning, func() {
		log.Warn().Msg("capture tap is not reading its labels; reading from it is paused")
	})
	defer late.Stop()
	for o.full() {
		o.room.Wait()
	}
}

// full reports whether a capture must read labels before it is read from.
func (o *outbox) full() bool {
	return o.capture && (len(o.buf) > outboxSoftLimit || len(o.buf) > outboxFree && !o.hasRoom()) &&
		!o.noWaiting && !o.finished && !o.broken
}

// sendAll sends until the outbox is finished. A peer to which nothing can be sent
// stays connected: what it has sent may still arrive.
func (o *outbox) sendAll(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.buf) == 0 && !o.finished {
			o.work.Wait()
		}
		if len(o.buf) == 0 {
			// The outbox lives as long as flows of the tap are in a table, which
			// may be long.
			o.buf, o.spare, o.encoder = nil, nil, nil
			o.giveBack()
			return
		}
		out := o.buf
		o.buf, o.sending = o.spare[:0], len(out)
		o.room.Signal()
		if !o.broken {
			o.mu.Unlock()
			_, err := w.Write(out)
			o.mu.Lock()
			o.broken = err != nil
		}
		if o.spare, o.sending = out, 0; cap(out) > outboxFree {
			o.spare = nil
		}
		o.giveBack()
	}
}
