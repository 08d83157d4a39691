package faults

import (
	"fmt"
	"os"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestLoad drives a sidecar at three times what it can sustain. The slow stage
// is slow here, so that it is what there is too little time for. The fast stage
// answers as soon as ever, every flow gets a label, thresholds are loosened
// before anything is shed, memory does not grow, and when the load is over
// everything is soon as before.
func TestLoad(t *testing.T) {
	during := 3 * time.Second
	if *full {
		during = time.Minute
	}
	c := newChanging(t, toy, "[flow]\nshards = 1\nretention = \"500ms\"\nidle_timeout = \"500ms\"\n[labels]\nkeep = 20")
	c.slowDown("slow.txt", 10_000)
	s := c.start()
	// Of two flows, one is settled by the fast stage, the other wants the slow
	// one at its third packet.
	kinds := []sample{made(t, 53, 1), made(t, 80, 3)}
	g := c.generate(wire.Hello{Sensor: "office"}, kinds, "fast")

	sustained := c.sustained(kinds, 1000)
	g.run(sustained/4, time.Second)

	calm := g.run(sustained/4, 3*time.Second)
	if n := calm.reasons["shed"] + calm.reasons["relaxed"]; n > calm.flows/20 { // a busy machine stands still at times
		t.Errorf("%d of %d flows were spared the slow stage without load", n, calm.flows)
	}
	transitions := s.sample()
	began := time.Now()
	warm := g.run(3*sustained, during/4)
	early := s.rss()
	loaded := g.run(3*sustained, during-during/4)
	late := s.rss()
	took := time.Since(began)
	recovered := s.awaitSteady()

	t.Logf("sustained %.0f flows/s; unloaded: %s", sustained, calm)
	t.Logf("three times that for %v: %s", took.Round(time.Second), loaded)
	t.Logf("steady again after %v; %d MiB after a quarter, %d MiB at the end", recovered.Round(time.Millisecond), early>>20, late>>20)
	after := g.run(sustained/4, time.Second)
	if n := after.reasons["shed"] + after.reasons["relaxed"]; n > after.flows/20 {
		t.Errorf("%d of %d flows were spared the slow stage after the load", n, after.flows)
	}
	for name, m := range map[string]measured{"calm": calm, "after": after} {
		if m.labelled != m.flows {
			t.Errorf("%s: %d labels of %d flows", name, m.labelled, m.flows)
		}
	}
	// What the generator is too busy to read is counted.
	unread := int(s.sample()[`drops_total{reason="reply_full"}`])
	if n, all := warm.labelled+loaded.labelled, warm.flows+loaded.flows; n+unread != all {
		t.Errorf("under load: %d labels and %d unread of %d flows", n, unread, all)
	}
	if loaded.reasons["relaxed"] == 0 || loaded.reasons["shed"] > loaded.reasons["relaxed"] {
		t.Errorf("thresholds were not loosened first: %v", loaded.reasons)
	}
	if loaded.stages["slow"] == 0 {
		t.Error("the slow stage was not asked any more")
	}
	got := s.sample()
	if got[`load_transitions_total{to="loosened"}`] == transitions[`load_transitions_total{to="loosened"}`] {
		t.Error("no transition was counted")
	}
	if len(s.log.find("load: thresholds are lowered so that fewer flows need slow stages")) != int(got[`load_transitions_total{to="loosened"}`]) {
		t.Errorf("transitions in the log are not those counted")
	}
	if recovered > 2*time.Second {
		t.Errorf("recovery took %v", recovered)
	}
	if late > early+early/5+16<<20 {
		t.Errorf("memory grew from %d to %d MiB", early>>20, late>>20)
	}
	s.stop()
	if n := len(byFlow(t, readAll(t, c.labels))); n != int(g.next-1)+1000 {
		t.Errorf("%d flows in the label log, want %d", n, g.next-1+1000)
	}
}

// readAll reads a label log and those rotated from it.
func readAll(t *testing.T, path string) (all []decision) {
	t.Helper()
	for name, i := path, 1; ; name, i = fmt.Sprint(path, ".", i), i+1 {
		if _, err := os.Stat(name); err != nil {
			return all
		}
		all = append(all, readLabels(t, name, true)...)
	}
}

// sustained is how many flows a second the sidecar can take, of so many like
// the samples: those of a capture, which waits.
func (p *place) sustained(samples []sample, flows int) float64 {
	p.t.Helper()
	began := time.Now()
	g := p.generate(wire.Hello{Sensor: "capture", Capture: true}, samples, "")
	defer g.Close()
	if m := g.each(flows); m.labelled != flows {
		p.t.Fatalf("%d labels of %d flows of a capture", m.labelled, flows)
	}
	return float64(flows) / time.Since(began).Seconds()
}

// awaitSteady waits until no shard bends, and returns how long that took.
func (s *process) awaitSteady() time.Duration {
	s.t.Helper()
	began := time.Now()
	await(s.t, func() error {
		got := s.sample()
		if got["load_level"] > 0 || got[`queue_depth{queue="slow"}`] > 0 {
			return fmt.Errorf("level %v, %v wait", got["load_level"], got[`queue_depth{queue="slow"}`])
		}
		return nil
	})
	return time.Since(began)
}

// do fails the test on an error.
func (p *place) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
