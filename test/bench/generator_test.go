package bench

import (
	"io"
	"net"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestSentLate plays a period at a rate: of every message that falls due after the
// warm-up it is noted by how much it was late, which is at least by how much the
// generator began too late.
func TestSentLate(t *testing.T) {
	s := testSchedule(t, 20_000)
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

// TestStopsAtTheLabel plays flows to a sidecar that labels each at its first packet: no
// later packet of it is sent at a rate, and all are flat out; its end is sent always.
func TestStopsAtTheLabel(t *testing.T) {
	for _, rate := range []float64{0, 500} {
		s := testSchedule(t, rate)
		tap, sidecar := net.Pipe()
		g := newGenerator(s, tap, rate)
		g.ending = true // at once
		packets, ends := 0, 0
		done := make(chan error, 1)
		go func() {
			in, m := wire.NewDecoder(sidecar), wire.Message{}
			for {
				if err := in.Next(&m); err != nil {
					done <- err
					return
				}
				if m.Kind == wire.KindEnd {
					ends++
				} else {
					packets++
				}
			}
		}()
		sent, finished := 0, 0
		for period := range s.laps {
			for i := range s.events {
				e := &s.events[i]
				if e.lap == period && e.end {
					finished++
				}
			}
			if err := g.playPeriod(period, 1); err != nil {
				t.Fatal(err)
			}
			if err := g.flush(); err != nil {
				t.Fatal(err)
			}
			// Every flow that was begun has its label by now.
			for i := range s.events {
				if e := &s.events[i]; e.lap <= period && !g.labels.has(0, e.flow) {
					g.labels.take(&wire.Label{Flow: wire.UintID(s.id(0, e.flow)), Reason: "accepted", Packets: 1}, 0)
				}
			}
		}
		tap.Close()
		<-done
		for _, e := range s.events {
			if !e.end && (rate == 0 || e.lap == 0) {
				sent++
			}
		}
		if packets != sent || ends != finished || ends == 0 {
			t.Errorf("rate %v: %d packets and %d ends, want %d and %d", rate, packets, ends, sent, finished)
		}
	}
}
