package sidecar_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// flowLog keeps the line of each flow, without the time that it took to compute.
type flowLog struct {
	mu    sync.Mutex
	lines map[string]string
	all   map[string]decision.Record
	twice int
}

func newFlowLog() *flowLog {
	return &flowLog{lines: map[string]string{}, all: map[string]decision.Record{}}
}

func (l *flowLog) Write(records []decision.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range records {
		r := &records[i]
		key := r.Sensor + " " + r.Flow.String()
		if _, ok := l.lines[key]; ok {
			l.twice++
		}
		l.lines[key] = string(r.Append(nil))
		l.all[key] = *r
	}
}

func (l *flowLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// captures are those of the repository, and without -short those of other networks.
func captures(t *testing.T) (paths []string) {
	t.Helper()
	roots := []string{"../test/captures"}
	if data := os.Getenv("SERVEFLOW_DATA"); data != "" && !testing.Short() {
		roots = append(roots, filepath.Join(data, "world/pcap"))
	}
	for _, root := range roots {
		if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.Contains(d.Name(), ".pcap") {
				paths = append(paths, path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(paths) < 100 {
		t.Fatalf("%d captures", len(paths))
	}
	return paths
}

// beside is a sidecar with a shadow, or none, and what both have decided.
type beside struct {
	*sidecar.Sidecar
	t              *testing.T
	config         config.Config
	served, shadow *flowLog
	bundles        []*bundle.Bundle
}

func startBeside(t *testing.T, served, shadow string, change func(*config.Config)) *beside {
	t.Helper()
	s := &beside{t: t, served: newFlowLog(), shadow: newFlowLog(), config: config.Default()}
	open := func(name string) *bundle.Bundle {
		if name == "" {
			return nil
		}
		b, err := bundle.Open(name, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.bundles = append(s.bundles, b)
		return b
	}
	s.config.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	s.config.Shadow.Bundle = shadow
	if change != nil {
		change(&s.config)
	}
	var err error
	if s.Sidecar, err = sidecar.Start(sidecar.Options{
		Config: s.config, Bundle: open(served), Shadow: open(shadow), Log: zerolog.Nop(), Decisions: s.served, ShadowDecisions: s.shadow,
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// play plays captures, each as a sensor of its own.
func (s *beside) play(paths []string) {
	s.t.Helper()
	for _, path := range paths {
		_, err := replay.LabelFile(s.t.Context(), s.config.Listen.Socket, path, replay.TapOptions{Sensor: path, Capture: true},
			replay.Options{IgnoreChecksums: true}, func(*replay.Labelled) error { return nil })
		if err != nil && !errors.As(err, new(*replay.StopError)) && !errors.As(err, new(*replay.OpenError)) {
			s.t.Fatalf("%s: %v", path, err)
		}
	}
}

func (s *beside) close() {
	s.t.Helper()
	err := s.Stop(context.Background())
	for _, b := range s.bundles {
		err = errors.Join(err, b.Close())
	}
	if err != nil {
		s.t.Error(err)
	}
	if n := s.served.twice + s.shadow.twice; n > 0 {
		s.t.Errorf("%d flows were decided twice", n)
	}
}

// alone returns what a bundle decides that is served without a shadow.
func alone(t *testing.T, name string, paths []string, change func(*config.Config)) map[string]string {
	t.Helper()
	s := startBeside(t, name, "", change)
	s.play(paths)
	s.close()
	return s.served.lines
}

// compared is how labels agree by the metrics: label, result, number.
func (s *beside) compared() map[string]int {
	families, err := s.Metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]int{}
	for _, f := range families {
		if f.GetName() != "serveflow_shadow_flows_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := int(m.GetCounter().GetValue()); n > 0 {
				all[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = n
			}
		}
	}
	return all
}

// expected is the same by the logs of both.
func expected(served, shadow *flowLog) map[string]int {
	served.mu.Lock()
	defer served.mu.Unlock()
	shadow.mu.Lock()
	defer shadow.mu.Unlock()
	decided := func(r decision.Record) bool {
		return slices.Contains([]string{"accepted", "last_stage", "flow_end", "timeout"}, r.Reason)
	}
	all := map[string]int{}
	for flow, a := range served.all {
		switch b, ok := shadow.all[flow]; {
		case decided(a) && ok && decided(b) && a.Label == b.Label:
			all[a.Label+" agrees"]++
		case decided(a) && ok && decided(b):
			all[a.Label+" differs"]++
		case decided(a):
			all[a.Label+" served_only"]++
		case ok && decided(b):
			all[b.Label+" shadow_only"]++
		}
	}
	return all
}

// awaitCounts waits until the counters are what the logs say.
func (s *beside) awaitCounts() {
	s.t.Helper()
	var got, want map[string]int
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got, want = s.compared(), expected(s.served, s.shadow); s.shadow.len() == s.served.len() && maps.Equal(got, want) {
			return
		}
		if time.Now().After(until) {
			break
		}
	}
	s.t.Errorf("%d flows and %d of the shadow; the counters are\n%v, by the logs\n%v", s.served.len(), s.shadow.len(), got, want)
}

// sameLines reports flows that two sidecars have decided differently.
func sameLines(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	wrong := 0
	for flow, line := range want {
		if got[flow] != line {
			if wrong++; wrong <= 3 {
				t.Errorf("%s:\n got %swant %s", what, got[flow], line)
			}
		}
	}
	if len(got) != len(want) || wrong > 0 {
		t.Errorf("%s: %d flows, want %d; %d differ", what, len(got), len(want), wrong)
	}
}

// TestShadow: each bundle decides as if it were alone, flow by flow, whichever asks more
// of the taps, and the counters say how they agree.
func TestShadow(t *testing.T) {
	paths := captures(t)
	lines := map[string]map[string]string{}
	for _, name := range []string{"channel", "iot-device"} {
		lines[name] = alone(t, name, paths, nil)
		t.Logf("%s: %d flows of %d captures", name, len(lines[name]), len(paths))
	}
	for _, c := range [][2]string{{"channel", "iot-device"}, {"iot-device", "channel"}, {"channel", "channel"}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s := startBeside(t, c[0], c[1], nil)
			s.play(paths)
			s.awaitCounts()
			s.close()
			sameLines(t, c[0]+" with a shadow", s.served.lines, lines[c[0]])
			sameLines(t, c[1]+" as a shadow", s.shadow.lines, lines[c[1]])
		})
	}
}

// TestShadowSuppress: a rule of the site holds for both, and its hits are those of the
// bundle that is served.
func TestShadowSuppress(t *testing.T) {
	paths := []string{"../test/captures/dns.pcap", "../test/captures/ssh.pcap"}
	change := func(c *config.Config) { c.Suppress = []config.Suppress{{Label: "dns"}} }
	want := alone(t, "channel", paths, change)
	s := startBeside(t, "channel", "channel", change)
	s.play(paths)
	for until := time.Now().Add(10 * time.Second); s.shadow.len() < s.served.len() && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	s.close()
	sameLines(t, "served", s.served.lines, want)
	sameLines(t, "shadow", s.shadow.lines, want)
	if !strings.Contains(strings.Join(slices.Collect(maps.Values(want)), ""), `"reason":"suppressed"`) {
		t.Error("nothing was suppressed")
	}
}

// TestShadowOfALiveTap: a live tap goes on after the label of the bundle that is served,
// so that the shadow has the packets that it needs.
func TestShadowOfALiveTap(t *testing.T) {
	slow := func() *bundle.Bundle {
		b, err := bundle.Open("channel", bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b.SlowOnly()
	}
	const path = "../test/captures/ssh.pcap"
	start := func(served, shadow *bundle.Bundle) *beside {
		s := &beside{t: t, served: newFlowLog(), shadow: newFlowLog(), config: config.Default()}
		s.config.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
		var err error
		if s.Sidecar, err = sidecar.Start(sidecar.Options{
			Config: s.config, Bundle: served, Shadow: shadow, Log: zerolog.Nop(), Decisions: s.served, ShadowDecisions: s.shadow,
		}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	alone := start(slow(), nil)
	alone.play([]string{path})
	alone.close()

	first, err := bundle.Open("../test/bundle/toy", bundle.Options{}) // which needs one packet
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	s := start(first, slow())
	source, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	tap, err := replay.Dial(t.Context(), s.config.Listen.Socket, replay.TapOptions{Sensor: path, Speed: 5, OnLabel: func(wire.Label) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	time.Sleep(200 * time.Millisecond) // so that WELCOME has come: before it a tap sends no payload
	if _, err := tap.Play(t.Context(), replay.NewFlows(source, replay.Options{IgnoreChecksums: true})); err != nil {
		t.Fatal(err)
	}
	s.awaitCounts()
	s.close()
	for flow, want := range alone.served.all {
		if got := s.shadow.all[flow]; got.Label != want.Label || got.Packets != want.Packets || got.Packets <= s.served.all[flow].Packets {
			t.Errorf("%s: %s on %d packets, want %s on %d; the other bundle had %d", flow, got.Label, got.Packets, want.Label, want.Packets, s.served.all[flow].Packets)
		}
	}
	if len(alone.served.all) == 0 {
		t.Error("no flow")
	}
}
