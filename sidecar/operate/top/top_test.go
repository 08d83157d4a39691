package top_test

import (
	"context"
	"flag"
	"io"
	"net/http"
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
	for _, size := range [][2]int{{20, 5}, {1, 1}, {60, 12}, {200, 100}, {0, 0}, {0, -1}, {80, -1}} {
		text := top.Screen(before, now, size[0], size[1])
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > max(size[1], 1) {
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

// Whatever answers on the port: its numbers and names harm neither the program nor the
// terminal.
func TestHostileAnswers(t *testing.T) {
	const histogram = "# TYPE serveflow_serving_latency_seconds histogram\n"
	for name, metrics := range map[string]string{
		"infinite":  "serveflow_labels_total{label=\"a\"} +Inf\nserveflow_labels_total{label=\"b\"} 1\n",
		"large":     "serveflow_labels_total{label=\"a\"} 1e308\nserveflow_labels_total{label=\"b\"} 1.7e308\nprocess_start_time_seconds 1e300\n",
		"no number": "serveflow_labels_total{label=\"a\"} NaN\nserveflow_decisions_total{stage=\"x\"} -Inf\nprocess_start_time_seconds NaN\n",
		"negative":  "serveflow_labels_total{label=\"a\"} -5\nserveflow_flows -1e300\nserveflow_drops_total{reason=\"r\"} -1\n",
		"buckets":   histogram + "serveflow_serving_latency_seconds_bucket{le=\"NaN\"} 5\nserveflow_serving_latency_seconds_bucket{le=\"-Inf\"} 2\nserveflow_serving_latency_seconds_count 1\n",
		"escapes":   "serveflow_labels_total{label=\"\x1b[2J\x1b]0;owned\x07\"} 5\n",
		"many":      strings.Repeat("x", 1000) + "{} 1\nserveflow_labels_total{label=\"" + strings.Repeat("long", 10_000) + "\"} 3\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/metrics":
				io.WriteString(w, metrics)
			case "/status":
				io.WriteString(w, `{"version":"\u001b[2J","bundle":"b","taps":[{"sensor":"\u001b[2J","events":18446744073709551615}]}`)
			default:
				io.WriteString(w, "ok\n\x1b[2J"+strings.Repeat("warning: \n", 10_000))
			}
		}))
		s, err := top.Take(t.Context(), scrape.New(server.Listener.Addr().String()))
		server.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range []string{top.Screen(top.Sample{}, s, 90, 40), top.Screen(s, s, 90, 40)} {
			if strings.Contains(text, "\x1b") || strings.Count(text, "\n") > 40 {
				t.Errorf("%s: %q", name, text)
			}
		}
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x 1\n", 1000)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if _, err := top.Take(t.Context(), scrape.New(endless.Listener.Addr().String())); err == nil || !strings.Contains(err.Error(), "answers with more than 4 MiB") {
		t.Errorf("an endless answer: %v", err)
	}
}
