package shard

import (
	"errors"
	"testing"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/tap/wire"
)

// A flow whose last stage gives no answer keeps the best label that it has, batched or
// not, and the reason says so.
func TestUnanswered(t *testing.T) {
	for _, batched := range []bool{false, true} {
		b := testBundle(t, batched, false)
		r := newRig(t, b, 100, true)
		b.Packet.Stages[1].Model.(*modeltest.Model).Answer = func(_, _ []float32) error { return errors.New("nobody there") }
		r.batch(func(b *flow.Batch) {
			for i := range int64(3) {
				e := b.Add()
				e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(1), i+1, uint64(i+1), packet.RawIP
				b.AddBytes(e, frame(1, 2, 1000, 53, 150)) // the first stage is not sure of it
			}
		})
		r.sync(true)
		if len(r.records) != 1 || len(r.errs) == 0 {
			t.Fatalf("batched %v: %d decisions, %d errors", batched, len(r.records), len(r.errs))
		}
		if d := r.records[0]; d.Reason != "unanswered" || d.Label != classes[0] || d.Stage != "fast" || d.Score != .5 || d.Packets != 1 {
			t.Errorf("batched %v: %+v", batched, d)
		}
	}
}
