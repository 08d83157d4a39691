package ingest

import (
	"io"
	"testing"

	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// TestOutboxLetsGo has a tap that is gone: its outbox is known as long as one of its
// flows is remembered, and must not keep what it was written with.
func TestOutboxLetsGo(t *testing.T) {
	o := newOutbox(telemetry.New(telemetry.Options{}))
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
