package shard

import (
	"slices"
	"testing"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/features/feature"
)

// measured is testBundle, with a reference.
func measured(t testing.TB) *bundle.Bundle {
	t.Helper()
	b := testBundle(t, false, true)
	p, err := drift.New(drift.Shape{Labels: len(classes), Stages: 2, Packets: 3, Masks: feature.MaskAll}, []drift.Feature{
		{Name: "p1_payload", Edges: []float32{50, 100}}, {Name: "p1_ipv4_ttl", Edges: []float32{63, 64}}, {Name: "first3_orig_bytes", Edges: []float32{100, 200}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.PacketProfile = p
	return b
}

// driftFlows is how many flows of packets drift is measured on.
func (r *rig) driftFlows(s *servedBundle) int {
	r.t.Helper()
	r.shard.tick()
	all := s.Drift()
	if len(all) != 1 || all[0].Cascade != "packet" {
		r.t.Fatalf("drift %+v, want that of packets alone", all)
	}
	return all[0].Flows
}

// TestDriftIsOfTheCascadesDecisions: what load decides, or a tap that missed
// packets, is no change of the traffic.
func TestDriftIsOfTheCascadesDecisions(t *testing.T) {
	r := newRig(t, measured(t), 4, true)
	s := r.shard.options.Bundle
	r.orig(1, 1, 50) // accepted
	r.orig(2, 1, 150)
	r.orig(2, 2, 150)
	r.orig(2, 3, 150) // last_stage
	r.orig(3, 1, 150)
	r.end(3) // flow_end
	r.orig(4, 1, 150)
	r.clock(60) // timeout
	if n := r.driftFlows(s); n != 4 {
		t.Errorf("%d flows are counted, want the 4 that the cascade decided", n)
	}
	r.orig(5, 3, 50)  // partial
	r.meta(6, 1, 50)  // of a cascade that has no reference
	r.orig(7, 1, 150) // evicted, in the end
	r.shard.drain()
	reasons := []string{}
	for _, d := range r.records {
		reasons = append(reasons, d.Reason)
	}
	for _, want := range []string{"accepted", "last_stage", "flow_end", "timeout", "partial", "evicted"} {
		if !slices.Contains(reasons, want) {
			t.Errorf("no flow was %s: %v", want, reasons)
		}
	}
	if n := r.driftFlows(s); n != 4 {
		t.Errorf("%d flows are counted, want 4 as before", n)
	}
}

// TestDriftStartsAnew: another bundle has a window of its own, and flows that
// began before do not go there.
func TestDriftStartsAnew(t *testing.T) {
	r := newRig(t, measured(t), 100, true)
	first, next := r.shard.options.Bundle, r.service(measured(t))
	r.orig(1, 1, 150)
	r.orig(2, 1, 50)
	p, err := r.shard.newBundle(next)
	if err != nil {
		t.Fatal(err)
	}
	r.shard.install(p)
	r.orig(3, 1, 50)
	r.orig(1, 2, 150)
	r.orig(1, 3, 150)
	if a, b := r.driftFlows(first), r.driftFlows(next); a != 2 || b != 1 {
		t.Errorf("%d flows of the bundle before and %d of the next, want 2 and 1", a, b)
	}
}

func TestNoReferenceNoDrift(t *testing.T) {
	r := newRig(t, testBundle(t, false, true), 100, true)
	r.orig(1, 1, 50)
	r.shard.tick()
	if all := r.shard.options.Bundle.Drift(); all != nil {
		t.Errorf("drift %+v of a bundle that has no reference", all)
	}
}
