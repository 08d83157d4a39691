package faults

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"serveflow/models/dataset"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/tap/wire"
)

// TestReloadLatency has flows come while a bundle that is in use is reloaded
// and taken over, and while it is not, in turn: the fast stage answers about as
// soon, and memory does not grow.
func TestReloadLatency(t *testing.T) {
	reloads := 6
	if *full {
		reloads = 100
	}
	const rate = 1000
	c := newChanging(t, root+"/models/iot-device", "[flow]\nretention = \"10s\"\n[labels]\nmax_size = \"16MiB\"\nkeep = 1")
	list, err := dataset.Read(captureDir+"/lab/manifest.csv", "label", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(c.dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	flows, first, version := recorded(t, list, b), b.Packet.Stages[0].Name, b.Manifest.Version
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	s := c.start()
	g := c.generate(wire.Hello{Sensor: "office"}, flows, first)
	g.run(rate, time.Second)

	var without, with measured
	early := 0
	for i := 1; i <= reloads; i++ {
		without.add(g.run(rate, time.Second))
		next := fmt.Sprintf("9.0.%d", i)
		c.edit(c.path(bundle.ManifestFile), version, next)
		version = next
		s.signal(syscall.SIGHUP)
		with.add(g.run(rate, time.Second))
		s.awaitMetric(`reloads_total{result="applied"}`, float64(i))
		await(t, func() error { // what goes on is no part of the next second
			if n := s.draining(); n > 0 {
				return fmt.Errorf("%d earlier bundles are in use", n)
			}
			return nil
		})
		if i == (reloads+9)/10 {
			early = s.rss()
		}
	}
	late := s.rss()
	s.stop()
	for name, m := range map[string]measured{"without": without, "with": with} {
		if m.labelled != m.flows {
			t.Errorf("%s a reload: %d labels of %d flows", name, m.labelled, m.flows)
		}
		if len(m.fast) < 25*reloads { // it was trained on few kinds of the lab's flows
			t.Errorf("%s a reload: the fast stage decided %d flows", name, len(m.fast))
		}
	}
	t.Logf("a reload in every other second, %d of them: fast stage p50 %v, p99 %v, at most %v; without: p50 %v, p99 %v, at most %v; %d MiB after a tenth, %d MiB at the end",
		reloads, with.at(.5), with.at(.99), with.at(1), without.at(.5), without.at(.99), without.at(1), early>>20, late>>20)
	// The machine may be busy with something else: this is for what is much worse.
	if limit := 5*without.at(.99) + 50*time.Millisecond; with.at(.99) > limit {
		t.Errorf("p99 is %v during reloads, %v without", with.at(.99), without.at(.99))
	}
	if late > early+early/4+48<<20 { // old bundles go when the collector comes
		t.Errorf("memory grew from %d to %d MiB", early>>20, late>>20)
	}
}

// add adds what was measured at another time.
func (m *measured) add(other measured) {
	m.flows, m.labelled = m.flows+other.flows, m.labelled+other.labelled
	m.fast = slices.Concat(m.fast, other.fast)
}
