package ingest

import (
	"io"
	"testing"

	"github.com/rs/zerolog"

	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// TestOutboxLetsGo has a tap that is gone: its outbox is known as long as one of its
// flows is remembered, and must not keep what it was written with.
func TestOutboxLetsGo(t *testing.T) {
	o := newOutbox(telemetry.New(telemetry.Options{}), nil)
	o.welcome(wire.Welcome{})
	o.Labels(make([]wire.Label, 1000))
	o.finish()
	o.sendAll(io.Discard)
	if n := cap(o.buf) + cap(o.spare); n > 0 || o.encoder != nil {
		t.Errorf("%d bytes are kept, and the encoder is %v", n, o.encoder)
	}
	o.synced(1)
	o.Labels(make([]wire.Label, 3))
	if n := o.lost(); n != 3 {
		t.Errorf("%d labels are counted as lost, want 3", n)
	}
}

// TestRepliesShareABudget: however many captures read none of their labels, what is
// queued for all of them is bounded; each has some room of its own, and what was taken
// is given back when it is written.
func TestRepliesShareABudget(t *testing.T) {
	const peers, budget = 64, 8 << 20
	b := memory.NewBudget(budget)
	m := telemetry.New(telemetry.Options{})
	all := make([]*outbox, peers)
	labels := make([]wire.Label, 100)
	for i := range all {
		all[i] = newOutbox(m, b)
		all[i].configure(true, zerolog.Nop())
	}
	for range 1000 {
		for _, o := range all {
			o.Labels(labels)
		}
	}
	held := 0
	for i, o := range all {
		held += cap(o.buf)
		if len(o.buf) < outboxFree || o.lost() == 0 {
			t.Errorf("peer %d has %d bytes queued and has lost %d labels", i, len(o.buf), o.lost())
		}
		if !o.full() {
			t.Errorf("peer %d is read from", i)
		}
	}
	if most := peers*3*outboxFree + budget; held > most {
		t.Errorf("%d MiB are held", held>>20)
	}
	for _, o := range all {
		o.finish()
		o.sendAll(io.Discard)
	}
	if !b.Take(budget) {
		t.Error("not all was given back")
	}
}
