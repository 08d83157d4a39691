package tune

import (
	"testing"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/replay"
)

// TestCostsAreThoseOfBatches: a candidate is asked about as many flows at once as a
// sidecar asks it about.
func TestCostsAreThoseOfBatches(t *testing.T) {
	plan, err := feature.Compile([]string{"p1_len"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Candidates{Labels: []string{"a", "b"}, Features: bundle.Features{Packets: 2}}
	for _, test := range []struct{ atOnce, most, asked int }{{8, 8, 3}, {0, 1, 20}} {
		m := modeltest.Sure(.9, 2, "p1_len")
		m.AtOnce = test.atOnce
		s := newScorer(c, []*loaded{{Candidate: Candidate{Packets: 1}, whole: asked{model: m, plan: plan}}}, false, replay.Options{})
		if _, err := s.time(0, make([][]packet.Packet, 20)); err != nil {
			t.Fatal(err)
		}
		if got := m.Batches(); len(got) != test.asked || got[0] != test.most {
			t.Errorf("asked about %v rows, want %d times, %d rows first", got, test.asked, test.most)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
