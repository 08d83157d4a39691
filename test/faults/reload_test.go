package faults

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// TestReload serves one bundle after the other while a tap plays: every flow is
// decided once, by the bundle it began with, and memory does not grow.
func TestReload(t *testing.T) {
	t.Parallel()
	reloads := 10
	if *full {
		reloads = 100
	}
	c := newChanging(t, toy, "")
	s := c.start()

	var mu sync.Mutex
	labels := map[wire.FlowID]wire.Label{}
	tap, err := replay.Dial(t.Context(), c.socket, replay.TapOptions{
		Sensor: "office", Speed: 1, Timeout: patience,
		OnLabel: func(l wire.Label) {
			mu.Lock()
			defer mu.Unlock()
			if before, twice := labels[l.Flow]; twice {
				t.Errorf("flow %v received %+v, then %+v", l.Flow, before, l)
			}
			labels[l.Flow] = l
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	capture := &traffic{flows: 1000 * (reloads + 2), packets: 8, every: 500, gap: 20_000}
	played := make(chan error, 1)
	go func() {
		_, err := tap.Play(t.Context(), replay.NewFlows(capture, replay.Options{IgnoreChecksums: true}))
		played <- err
	}()

	applied := `reloads_total{result="applied"}`
	version, early, labelled := "1.0.0", 0, 0
	for i := 1; i <= reloads; i++ {
		next := fmt.Sprintf("2.0.%d", i)
		await(t, func() error { // one that came too soon would be refused, or serve nothing
			if n := s.draining(); n > 5 {
				return fmt.Errorf("%d earlier bundles are in use", n)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(labels) == labelled && labelled < capture.flows {
				return fmt.Errorf("%d flows were labelled, none by the bundle served", labelled)
			}
			labelled = len(labels)
			return nil
		})
		c.edit(c.path("manifest.toml"), version, next)
		version = next
		s.signal(syscall.SIGHUP)
		s.awaitMetric(applied, float64(i))
		s.awaitLog("SIGHUP: new bundle is served", "bundle", "toy@"+version)
		if i == (reloads+9)/10 {
			early = s.rss()
		}
	}
	late := s.rss()
	await(t, func() error { // the old ones are let go
		if n := s.draining(); n > 0 {
			return fmt.Errorf("%d earlier bundles are still in use", n)
		}
		return nil
	})
	if err := <-played; err != nil {
		t.Fatal(err)
	}
	got := s.sample()
	s.stop()

	logged := byFlow(t, readLabels(t, c.labels, true))
	if len(logged) != capture.flows || len(labels) != capture.flows {
		t.Errorf("%d flows in the label log and %d labelled, want %d", len(logged), len(labels), capture.flows)
	}
	models := map[string]int{}
	for _, l := range labels {
		models[l.Model]++
		d := logged["office "+l.Flow.String()]
		if d.Model != l.Model || d.Label != l.Label {
			t.Fatalf("the tap received %+v, the label log has %+v", l, d)
		}
		if l.Reason == "partial" || l.Reason == "evicted" {
			t.Fatalf("flow %v: %+v", l.Flow, l)
		}
	}
	if len(models) < reloads/2 {
		t.Errorf("only %d bundles decided flows, of %d", len(models), reloads+1)
	}
	sum := 0.0
	for name, n := range got {
		if strings.HasPrefix(name, "labels_total{") {
			sum += n
		}
	}
	if sum != float64(capture.flows) {
		t.Errorf("labels_total counts %v decisions of %d flows", sum, capture.flows)
	}
	t.Logf("%d flows by %d bundles; %d MiB after a tenth of the reloads, %d MiB at the end", len(labels), len(models), early>>20, late>>20)
	if late > early+early/4+16<<20 {
		t.Errorf("memory grew from %d to %d MiB", early>>20, late>>20)
	}
}

// draining is how many bundles are in use besides the one that is served.
func (s *process) draining() (n int) {
	s.t.Helper()
	for name := range s.sample() {
		if strings.HasPrefix(name, "bundle_info") && strings.Contains(name, "draining") {
			n++
		}
	}
	return n
}

// TestReloadRefused: a bundle that is not sound is refused, with what is wrong
// with it, and the one before is served on.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	c := newChanging(t, toy, "")
	s := c.start()
	tap := c.hello(wire.Hello{Sensor: "office", Reply: true})
	refused := 0.0
	for i, bad := range []struct{ name, file, old, new, why string }{
		{"a changed model", "fast.txt", "num_leaves", "num_leafs", "its digest is"},
		{"a model cut in half", "slow.txt", "", "half", "its digest is"},
		{"an empty model", "slow.txt", "", "", "its digest is"},
		{"no model", "fast.txt", "", "gone", "no such file"},
		{"another digest", "manifest.toml", `"sha256:`, `"sha256:0`, "64 hexadecimal digits"},
		{"no TOML", "manifest.toml", "", "half", "manifest.toml"},
		{"a field too many", "manifest.toml", "version", "virsion = 1\nversion", "virsion: no such field"},
		{"no manifest", "manifest.toml", "", "gone", "not a bundle"},
	} {
		path := c.path(bad.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bad.old != "":
			c.edit(path, bad.old, bad.new)
		case bad.new == "gone":
			err = os.Remove(path)
		case bad.new == "half":
			c.write(path, string(good[:len(good)/2]))
		default:
			c.write(path, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGHUP)
		refused++
		s.awaitMetric(`reloads_total{result="refused"}`, refused)
		s.awaitLog("SIGHUP: new bundle refused; the previous one is still served", "serving", "toy@1.0.0", "error", bad.why)
		if got := s.sample()["last_reload_successful"]; got != 0 {
			t.Errorf("%s: last_reload_successful is %v", bad.name, got)
		}
		tap.do(tap.packet(uint64(i), 1, 53))
		if labels := tap.sync(false); len(labels) != 1 || labels[0].Model != "toy@1.0.0" || labels[0].Label != "dns" {
			t.Errorf("%s: %+v", bad.name, labels)
		}
		c.write(path, string(good))
	}
	s.signal(syscall.SIGHUP)
	s.awaitLog("SIGHUP: bundle unchanged")
	if got := s.sample(); got["last_reload_successful"] != 1 || got[`reloads_total{result="unchanged"}`] != 1 {
		t.Errorf("after a sound bundle: %v, %v", got["last_reload_successful"], got[`reloads_total{result="unchanged"}`])
	}
	s.stop()
}

// TestReloadConfiguration: the bundle is that which the configuration names now;
// other settings need a restart, which is said.
func TestReloadConfiguration(t *testing.T) {
	t.Parallel()
	c := newChanging(t, toy, "")
	s := c.start()
	other := newChanging(t, toy, "")
	c.edit(other.path("manifest.toml"), "1.0.0", "3.0.0")
	c.edit(c.config, c.dir, other.dir)
	c.write(c.config, readText(t, c.config)+"[flow]\nidle_timeout = \"3s\"\n")
	s.signal(syscall.SIGHUP)
	s.awaitLog("SIGHUP: settings of these tables have changed; they take effect after a restart", "tables", "flow")
	s.awaitLog("SIGHUP: new bundle is served", "bundle", "toy@3.0.0")
	c.write(c.config, "bundle = [")
	s.signal(syscall.SIGHUP)
	s.awaitLog("SIGHUP: new bundle refused; the previous one is still served", "serving", "toy@3.0.0", "error", "serveflow.toml")
	s.stop()
}

// TestReloadWaits: while flows of a capture that stands still use as many bundles as may
// be in use, the newest bundle waits, and is served as soon as one of them is released.
func TestReloadWaits(t *testing.T) {
	t.Parallel()
	c := newChanging(t, toy, "[flow]\nidle_timeout = \"10m\"\nretention = \"10m\"")
	s := c.start()
	tap := c.hello(wire.Hello{Sensor: "capture", Capture: true})
	version := "1.0.0"
	reload := func(i int) {
		next := fmt.Sprintf("2.0.%d", i)
		c.edit(c.path("manifest.toml"), version, next)
		version = next
		s.signal(syscall.SIGHUP)
	}
	applied := 0
	serve := func(i int) {
		reload(i)
		applied++
		s.awaitMetric(`reloads_total{result="applied"}`, float64(applied))
	}
	serve(100) // one that is released before any has to wait is not waited for
	await(t, func() error {
		if n := s.draining(); n > 0 {
			return fmt.Errorf("%d earlier bundles are in use", n)
		}
		return nil
	})
	for i := range shard.MaxBundles {
		tap.do(tap.packet(uint64(i), 1, 80)) // which waits for two more
		s.awaitMetric("flows_total", float64(i+1))
		if i < shard.MaxBundles-1 {
			serve(i)
		}
	}
	reload(8)
	const waits = "SIGHUP: the new bundle waits; it is served when fewer are in use"
	s.awaitLog(waits, "serving", "toy@2.0.6", "error", "still use 7 earlier bundles")
	reload(9) // the one that is served then
	await(t, func() error {
		if n := len(s.log.find(waits)); n != 2 {
			return fmt.Errorf("%d bundles have waited", n)
		}
		return nil
	})
	for index := uint64(2); index <= 3; index++ {
		tap.do(tap.packet(4, index, 80))
	}
	s.awaitLog("SIGHUP: new bundle is served", "bundle", "toy@2.0.9")
	if got := s.sample(); got["last_reload_successful"] != 1 || got[`reloads_total{result="refused"}`] != 2 || got[`reloads_total{result="applied"}`] != float64(applied)+1 {
		t.Errorf("%v applied, %v refused, the last one: %v", got[`reloads_total{result="applied"}`], got[`reloads_total{result="refused"}`], got["last_reload_successful"])
	}
	s.stop()
}

func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReloadNeeds: taps learn what a new bundle needs: more before it is
// served, less when no flow uses the old one any more.
func TestReloadNeeds(t *testing.T) {
	t.Parallel()
	c := newChanging(t, toy, "[flow]\nidle_timeout = \"1s\"\nshards = 1")
	s := c.start()
	tap := c.hello(wire.Hello{Sensor: "office", Reply: true})
	needs := func(want int) {
		t.Helper()
		if m := tap.next(); m.Kind != wire.KindWelcome || m.Welcome.Packets != want {
			t.Fatalf("the tap received %+v, want WELCOME with %d packets", m, want)
		}
	}
	manifest := c.path("manifest.toml")
	more := strings.Replace(strings.ReplaceAll(readText(t, manifest), "packets = 3", "packets = 6"), "1.0.0", "1.1.0", 1)
	fewer := readText(t, manifest)

	tap.do(tap.packet(1, 1, 80)) // which begins with the bundle that wants 3
	s.awaitMetric("flows_total", 1)
	c.write(manifest, more)
	s.signal(syscall.SIGHUP)
	needs(6)
	s.awaitMetric(`reloads_total{result="applied"}`, 1)
	tap.do(tap.packet(2, 1, 80))
	for index := uint64(2); index <= 6; index++ {
		tap.do(tap.packet(1, index, 80))
		tap.do(tap.packet(2, index, 80))
	}
	for _, want := range []struct {
		flow, packets int
		model         string
	}{{1, 3, "toy@1.0.0"}, {2, 6, "toy@1.1.0"}} {
		l := tap.next().Label
		if l.Flow != wire.UintID(uint64(want.flow)) || l.Packets != want.packets || l.Model != want.model {
			t.Errorf("got %+v, want %+v", l, want)
		}
	}

	began := time.Now()
	tap.do(tap.packet(3, 1, 80))
	s.awaitMetric("flows_total", 3)
	c.write(manifest, fewer)
	s.signal(syscall.SIGHUP)
	s.awaitMetric(`reloads_total{result="applied"}`, 2)
	if l := tap.next().Label; l.Flow != wire.UintID(3) || l.Model != "toy@1.1.0" || l.Reason != "timeout" {
		t.Errorf("the flow that began before: %+v", l)
	}
	needs(3)
	if took := time.Since(began); took < time.Second {
		t.Errorf("less was asked for after %v, while a flow used the old bundle", took)
	}
	if late := c.hello(wire.Hello{Sensor: "late"}); late == nil {
		t.Error("no welcome")
	}
	s.stop()
}
