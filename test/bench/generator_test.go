package bench

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestSentLate plays a period at a rate: of every message that falls due after the
// warm-up it is noted by how much it was late, which is at least by how much the
// generator began too late.
func TestSentLate(t *testing.T) {
	s := testSchedule(t)
	tap, sidecar := net.Pipe()
	go io.Copy(io.Discard, sidecar)
	defer tap.Close()
	const rate, behind = 20_000, 50 * time.Millisecond
	for _, warmup := range []bool{false, true} {
		g := newGenerator(s, tap, rate)
		g.started = time.Now().Add(-behind)
		if !warmup {
			g.labels.measure(0)
		}
		if err := g.playPeriod(0, -1); err != nil {
			t.Fatal(err)
		}
		if err := g.flush(); err != nil {
			t.Fatal(err)
		}
		switch {
		case warmup && g.late.n > 0:
			t.Errorf("%d messages counted before the measurement", g.late.n)
		case !warmup && g.late.n != g.sent:
			t.Errorf("%d of %d messages counted", g.late.n, g.sent)
		case !warmup && g.late.max < behind/2:
			t.Errorf("at most %v late, begun %v late", g.late.max, behind)
		}
	}
}
