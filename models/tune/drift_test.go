package tune

import (
	"bytes"
	"context"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
)

type nowhere struct{}

func (nowhere) Write([]decision.Record) {}

// TestDrift serves a bundle that was tuned. Played what it was calibrated on, the
// sidecar tells of no drift; played other traffic, of much.
func TestDrift(t *testing.T) {
	dir, list := setUp(t)
	r, err := Run(context.Background(), options(dir, list))
	if err != nil {
		t.Fatal(err)
	}
	for _, meta := range []bool{false, true} {
		events := map[bool]string{false: "packet", true: "meta"}[meta]
		t.Run(events, func(t *testing.T) {
			s := serve(t, r)
			flows := play(t, s.Socket, "usual", meta, 400, "dns.pcap", "http.pcap", "ssh.pcap")
			calm := awaitDrift(t, s, events, func(got map[string]float64) bool { return got["flows"] > 0 && len(got) > 4 })
			if calm["flows"] > float64(flows) {
				t.Errorf("drift of %v flows, and %d were played", calm["flows"], flows)
			}
			features := 0
			for of, psi := range calm {
				if strings.HasPrefix(of, "feature:") {
					features++
				}
				// Every flow as often as there: exactly the same shares, of the
				// sample of features nearly.
				most := 1e-9
				if strings.HasPrefix(of, "feature:") {
					most = .02
				}
				if of != "flows" && !(math.Abs(psi) <= most) {
					t.Errorf("played what it was calibrated on, %s: %v", of, psi)
				}
			}
			if features == 0 {
				t.Errorf("no feature is measured: %v", calm)
			}

			play(t, s.Socket, "other", meta, 400, "icmp.pcap", "tls.pcap", "failing.pcap", "vlan.pcap")
			// The flows of before leave the window by and by.
			awaited := func(got map[string]float64) bool {
				for of := range calm {
					least := .25
					if of == "score" || of == "stage" {
						least = .05 // the toy's stages and scores are much alike on these flows
					}
					if of != "flows" && !(got[of] > least) {
						return false
					}
				}
				return true
			}
			shifted := awaitDrift(t, s, events, awaited)
			t.Logf("the same traffic: %v", calm)
			t.Logf("other traffic: %v", shifted)
		})
	}
}

// serve starts a sidecar with the bundle of a result, until the test ends.
func serve(t *testing.T, r *Result) *sidecar.Private {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bundle")
	if err := r.WriteBundle(out); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	s, err := sidecar.StartPrivate(b, true, nowhere{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.Background()) })
	return s
}

// play plays captures one after the other, so many times, and returns how many
// flows that is.
func play(t *testing.T, socket, sensor string, meta bool, times int, files ...string) int {
	t.Helper()
	loop := &loop{times: times}
	for _, file := range files {
		source, err := replay.Open(filepath.Join(recorded, file))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		first := int64(0)
		for {
			var r replay.Record
			if err := source.Next(&r); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if first == 0 {
				first = r.Time
			}
			r.Time += loop.length - first
			r.Frame = bytes.Clone(r.Frame)
			loop.records = append(loop.records, r)
		}
		loop.length = loop.records[len(loop.records)-1].Time + time.Hour.Microseconds()
	}
	tap, err := replay.Dial(context.Background(), socket, replay.TapOptions{Sensor: sensor, Capture: true, Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	report, err := tap.Play(context.Background(), replay.NewFlows(loop, replay.Options{IgnoreChecksums: true}))
	if err != nil {
		t.Fatal(err)
	}
	return int(report.Capture.Flows)
}

// loop is captures that are played again and again, an hour between them.
type loop struct {
	records []replay.Record
	length  int64 // µs
	times   int
	next    int
}

// Next implements replay.Packets.
func (l *loop) Next(r *replay.Record) error {
	round := l.next / len(l.records)
	if round == l.times {
		return io.EOF
	}
	*r = l.records[l.next%len(l.records)]
	r.Time += int64(round) * l.length
	l.next++
	return nil
}

// awaitDrift waits until the metrics tell of the drift that is meant, which they
// do soon after the last flow was decided.
func awaitDrift(t *testing.T, s *sidecar.Private, events string, meant func(map[string]float64) bool) map[string]float64 {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		time.Sleep(200 * time.Millisecond) // what was played last is handed over
		got := map[string]float64{}
		families, err := s.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				switch {
				case labels["cascade"] != events:
				case f.GetName() == "serveflow_drift_flows":
					got["flows"] = m.GetGauge().GetValue()
				case f.GetName() == "serveflow_drift_psi":
					got[labels["of"]] = m.GetGauge().GetValue()
				}
			}
		}
		if meant(got) {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("the metrics tell %v", got)
		}
	}
}

func TestEdges(t *testing.T) {
	nan := float32(math.NaN())
	even := make([]float32, 100)
	for i := range even {
		even[i] = float32(i + 1)
	}
	mixed := slices.Concat(slices.Repeat([]float32{64}, 60), slices.Repeat([]float32{128}, 30), slices.Repeat([]float32{255}, 5), []float32{1, 2, 3, 4, 5, nan})
	for name, test := range map[string]struct{ values, want []float32 }{
		"none":          {nil, nil},
		"all missing":   {[]float32{nan, nan}, nil},
		"one value":     {[]float32{7, nan, 7}, []float32{6.5, 7}},
		"even":          {even, []float32{10, 20, 30, 40, 50, 60, 70, 80, 90}},
		"frequent ones": {mixed, []float32{63.5, 64, 127.5, 128}},
	} {
		if got := edges(test.values); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestReference: the manifest counts every calibration flow, once.
func TestReference(t *testing.T) {
	dir, list := setUp(t)
	r, err := Run(context.Background(), options(dir, list))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := r.bundle()
	for events, s := range map[string]*bundle.Stages{"packet": &m.Packet, "meta": &m.Meta} {
		if s.Reference == nil {
			t.Fatalf("%s: no reference", events)
		}
		for what, counts := range map[string][]int{"scores": s.Reference.Scores, "labels": s.Reference.Labels, "stages": s.Reference.Stages} {
			n := 0
			for _, c := range counts {
				n += c
			}
			if n != m.Calibration.Flows {
				t.Errorf("%s: %s are of %d flows, want %d", events, what, n, m.Calibration.Flows)
			}
		}
		if len(s.Reference.Features) == 0 {
			t.Errorf("%s: no features", events)
		}
	}
}
