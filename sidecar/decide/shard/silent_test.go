package shard

import (
	"testing"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// TestSilent: no model is asked about TCP or UDP that ends before either side has
// sent payload.
func TestSilent(t *testing.T) {
	icmp := frame(1, 2, 8<<8, 0, 0)
	icmp[9] = packet.ICMP
	for _, c := range []struct {
		name  string
		run   func(r *rig)
		stage string // that decides, empty if the flow is silent
	}{
		{"a SYN and its end", func(r *rig) { r.send(1, 1, packet.Originator, tcp(1, 2, 1000, 80, 2)); r.end(1) }, ""},
		{"as many packets as the cascade wants", func(r *rig) {
			for i := range uint64(3) {
				r.send(1, i+1, packet.Originator, tcp(1, 2, 1000, 80, 16))
			}
		}, "slow"},
		{"an empty datagram", func(r *rig) { r.orig(1, 1, 0); r.end(1) }, ""},
		{"an empty datagram of a tap without headers", func(r *rig) { r.meta(1, 1, 0); r.end(1) }, ""},
		{"payload that nobody counted", func(r *rig) { r.meta(1, 1, packet.Missing); r.end(1) }, "fast"},
		{"ICMP has none of its own", func(r *rig) { r.send(1, 1, packet.Originator, icmp); r.end(1) }, "fast"},
		{"payload after the first stage's packets", func(r *rig) { r.orig(1, 1, 0); r.orig(1, 2, 100); r.end(1) }, "slow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, testBundle(t, false, true), 100, true)
			c.run(r)
			if len(r.records) != 1 {
				t.Fatalf("%d decisions", len(r.records))
			}
			rec := r.records[0]
			if silent := c.stage == ""; rec.Stage != c.stage || silent != (rec.Reason == "silent") || silent && (rec.Label != "unknown" || rec.Score != 0) {
				t.Errorf("stage %q reason %s label %s, want stage %q", rec.Stage, rec.Reason, rec.Label, c.stage)
			}
		})
	}
}

// The bytes of payload are looked at where the site permits it, in the first
// packets that carry any, of either kind of tap.
func TestPayload(t *testing.T) {
	for _, permitted := range []bool{true, false} {
		for _, meta := range []bool{true, false} {
			b := testBundle(t, false, true)
			for _, c := range []int{0, 1} {
				b.Packet.Stages[c].Packets, b.Meta.Stages[c].Packets = 10, 10
			}
			r := newRig(t, b, 100, true)
			r.shard.options.Payload = permitted
			for i := range uint64(packet.MaxShapes + 1) {
				r.batch(func(b *flow.Batch) {
					e := b.Add()
					e.ID = wire.UintID(1)
					e.OrigPkts, e.Kind, e.Link = i+1, flow.Frame, packet.RawIP
					raw := append(frame(1, 2, 1000, 53, 4), "text"...)
					if meta {
						e.Kind, e.Payload, e.Tuple = flow.Headerless, 4, packet.Tuple{Proto: packet.UDP}
						raw = raw[28:]
					}
					b.AddBytes(e, raw)
				})
			}
			for i, p := range r.shard.table.Packets(1) {
				if got, want := p.Shape.Printable == 4, permitted && i < packet.MaxShapes; got != want {
					t.Errorf("permitted %v, meta %v: packet %d has the shape %+v", permitted, meta, i+1, p.Shape)
				}
			}
		}
	}
}
