package top_test

import (
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/scrape"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/top"
	"serveflow/sidecar/replay"
)

var update = flag.Bool("update", false, "rewrite the golden screen")

// take takes a sample of metrics.
func take(t *testing.T, m *telemetry.Metrics) top.Sample {
	t.Helper()
	server := httptest.NewServer(m.Handler(func() error { return nil }))
	defer server.Close()
	s, err := top.Take(t.Context(), scrape.New(server.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A sidecar that has labelled a capture shows it: the flows between two samples, in
// figures that do not depend on the machine.
func TestScreen(t *testing.T) {
	toy, err := bundle.Open("../../../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer toy.Close()
	dir := t.TempDir()
	c := config.Default()
	c.Listen.Socket, c.Labels.Path = filepath.Join(dir, "s.sock"), filepath.Join(dir, "labels.jsonl")
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: toy, Version: "1.2.3", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	before := take(t, s.Metrics)
	if _, err := replay.LabelFile(t.Context(), c.Listen.Socket, "../../../test/captures/dns.pcap",
		replay.TapOptions{Sensor: "dns", Capture: true}, replay.Options{}, func(*replay.Labelled) error { return nil }); err != nil {
		t.Fatal(err)
	}
	now := take(t, s.Metrics)
	now.At = before.At.Add(2 * time.Second)

	got := top.Screen(before, now, 90, 40)
	// What the machine has a say in.
	for _, r := range [][2]string{
		{`up \S+`, "up 0s"}, {`memory \d+ MiB`, "memory 0 MiB"}, {`of computing +.*`, "of computing -"}, {`taps \d`, "taps 0"}, {`flows now \d+`, "flows now 0"},
		{`(?s)since start\n.*`, "since start\n"}, // which packets are late is a matter of batches
	} {
		got = regexp.MustCompile(r[0]).ReplaceAllString(got, r[1])
	}
	const golden = "testdata/screen.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the screen is\n%s\nwant\n%s", got, want)
	}
	for _, size := range [][2]int{{20, 5}, {1, 1}, {60, 12}, {200, 100}} {
		text := top.Screen(before, now, size[0], size[1])
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > size[0] {
				t.Errorf("%v: %q", size, line)
			}
		}
	}
	if all := top.Screen(top.Sample{}, now, 90, 40); !strings.Contains(all, "dns") {
		t.Errorf("since the start:\n%s", all)
	}
}

// A sidecar that is not well, and one that was restarted between two samples.
func TestNotWell(t *testing.T) {
	m := telemetry.New(telemetry.Options{Version: "1"})
	m.ReadStatus(func() telemetry.Status { return telemetry.Status{Version: "1", Bundle: "b\x1b[2J"} })
	m.Count(telemetry.DropTap, 1000)
	s := take(t, m)
	if strings.Contains(top.Screen(top.Sample{}, s, 90, 40), "shadow") {
		t.Error("there is no shadow")
	}
	counts := telemetry.NewShadow(telemetry.Options{}, func() int { return 0 })
	m.ReadShadow(func() *telemetry.Shadow { return counts })
	agreement := counts.NewAgreement()
	for _, c := range []telemetry.Comparison{telemetry.Agrees, telemetry.Agrees, telemetry.Agrees, telemetry.Differs, telemetry.ServedOnly} {
		agreement.Count("dns", c)
	}
	m.ReadStatus(func() telemetry.Status { return telemetry.Status{Version: "1", Bundle: "b\x1b[2J", Shadow: "c@2"} })
	if text := top.Screen(top.Sample{}, take(t, m), 90, 40); !strings.Contains(text, "shadow c@2  agrees on 75.0 % of 4 flows since its start\n") {
		t.Errorf("the screen is\n%s", text)
	}
	s.Well, s.Health = false, []string{"shard 0 hangs"}
	text := top.Screen(top.Sample{}, s, 90, 40)
	for _, want := range []string{"NOT WELL", "shard 0 hangs", `b\x1b[2J`, "tap_dropped", " 1000\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "NaN") {
		t.Errorf("%q", text)
	}
}
