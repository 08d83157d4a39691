package telemetry

import (
	"flag"
	"math"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt")

var options = Options{
	Version: "v1.2.3",
	Reasons: []string{"accepted", "last_stage", "timeout"},
}

var served = Bundle{
	Name:   "iot-device@1.0.0",
	Digest: "0123456789ab",
	Stages: []string{"tree", "boosted", "tree"}, // two cascades
	Labels: []string{"camera", `plug "smart"`},
}

// serve begins to serve a bundle on some shards.
func serve(m *Metrics, b Bundle, shards ...*Shard) (*ServedBundle, []*Decisions) {
	s := m.NewServedBundle(b)
	var all []*Decisions
	for _, shard := range shards {
		all = append(all, s.NewShard(shard))
	}
	s.Activate()
	return s, all
}

func healthy() error { return nil }

// scrape returns the page without the metrics of the Go runtime.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(healthy).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var own strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, "serveflow_") {
			own.WriteString(line)
		}
	}
	return own.String()
}

// busy returns metrics on which every counter has another value.
func busy() *Metrics {
	m := New(options)
	one, two := m.NewShard(), m.NewShard()
	for i := EventHello; i <= EventUnknown; i++ {
		m.Count(i, uint64(10+i-EventHello))
	}
	for i := DropDuplicate; i <= DropOwnLog; i++ {
		m.Count(i, uint64(40+10*int(i-DropDuplicate)))
	}
	one.Count(DropDuplicate, 1)
	two.Count(DropDuplicate, 1)
	m.Read(DropTap, func() int { return 1000 })
	m.Read(QueueShards, func() int { return 3 })
	m.Read(QueueModel, func() int { return 4 })
	m.Read(QueueModel, func() int { return 5 })
	m.Read(Peers, func() int { return 2 })
	m.Read(LogErrors, func() int { return 8 })
	m.Count(LogBytesRepaired, 77)
	for i := EVEEnriched; i <= EVETooLong; i++ {
		m.Count(i, uint64(20+i-EVEEnriched))
	}
	m.Count(EVEWaited, 1)
	m.Read(EVEForwarded, func() int { return 30 })
	m.Read(EVEDropped, func() int { return 31 })
	m.Read(EVEWaiting, func() int { return 32 })

	for range 5 {
		one.Count(FlowsOpened, 1)
	}
	two.Count(FlowsOpened, 1)
	one.Count(FlowsOverdue, 1)
	two.Count(FlowsOverdue, 1)
	one.Set(Flows, 9)
	one.Set(Flows, 4)
	two.Set(Flows, 1)
	one.Count(LoadRelaxed, 1)
	two.Count(LoadRelaxed, 1)
	two.Count(LoadShedding, 1)
	m.Read(LoadLevel, func() int { return 5 })
	m.ReadDrift(func() []Drift {
		return []Drift{{"packet", 7000, []PSI{{"score", .125}, {"feature:p1_ipv4_ttl", 2.5}}}, {"meta", 12, nil}}
	})
	shadow := NewShadow(options, func() int { return 6 })
	m.ReadShadow(func() *Shadow { return shadow })
	for i, a := range []*Agreement{shadow.NewAgreement(), shadow.NewAgreement()} {
		a.Shed(50 + i)
		a.Count("camera", Agrees)
	}
	shadow.NewAgreement().Count("camera", ShadowOnly)
	shadow.ReadDrift(func() []Drift { return []Drift{{"packet", 8, []PSI{{"score", .5}}}} })
	beside := shadow.NewServedBundle(Bundle{Name: "next@2.0.0", Digest: "d2", Stages: []string{"only"}, Labels: []string{"camera"}})
	beside.NewShard(shadow.NewShard()).Decision(0, 0, 0, time.Second, 30*time.Microsecond)
	beside.Activate()
	m.Reloaded(ReloadApplied)
	m.Reloaded(ReloadApplied)
	m.Reloaded(ReloadUnchanged)
	m.Reloaded(ReloadRefused)

	other := Bundle{Name: "iot-device@0.9.0", Digest: "ba9876543210", Stages: []string{"boosted"}, Labels: []string{"camera", "lamp"}}
	retired, past := serve(m, other, one, two)
	past[1].Decision(0, 1, 0, time.Second, time.Millisecond)
	serve(m, other, one, two) // twice, which is shown once
	_, draining := serve(m, other, one, two)
	draining[0].Decision(0, 1, 1, time.Second, time.Millisecond)
	_, now := serve(m, served, one, two)
	past[0].Decision(0, 1, 1, time.Second, time.Millisecond)
	retired.Retire()
	now[0].Decision(-1, 2, -1, 10*time.Minute, 0)
	now[0].Decision(0, 0, 0, 5*time.Microsecond, time.Nanosecond)
	now[0].Decision(0, 0, 0, 5*time.Microsecond+1, 10*time.Microsecond)
	now[1].Decision(1, 1, 1, 16*time.Millisecond, 20*time.Microsecond)
	now[1].Decision(2, 0, 1, -time.Second, 100*time.Microsecond)
	now[1].Decision(2, 1, -1, time.Second, time.Millisecond)
	return m
}

func TestMetrics(t *testing.T) {
	const golden = "testdata/metrics.txt"
	got := scrape(t, busy())
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
		t.Errorf("the page differs from %s (see -update); got:\n%s", golden, got)
	}
}

// Every cell is a series of one metric, and the rows are in the order of the cells.
func TestTable(t *testing.T) {
	next := 0
	names := map[string]bool{}
	for i := range table {
		m := &table[i]
		if int(m.first) != next {
			t.Fatalf("%s begins with cell %d, want %d: rows and cells differ in order", m.name, m.first, next)
		}
		if (m.label == "") != (m.values == "") || names[m.name] || m.help == "" {
			t.Errorf("row %+v is incomplete, or its name is there twice", *m)
		}
		names[m.name] = true
		next += len(m.series())
	}
	if next != int(cells) {
		t.Errorf("the table has %d series and there are %d cells", next, cells)
	}
	for c, want := range map[Cell]string{DropDuplicate: "duplicate", LoadShedding: "shedding", Peers: "peers", EVEDropped: "dropped"} {
		if c.String() != want {
			t.Errorf("cell %d is %q, want %q", c, c, want)
		}
	}
}

func TestLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, busy()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The program's own metrics come with those of the process: memory is the
// first thing one wants to know of a sidecar.
func TestProcessMetrics(t *testing.T) {
	families, err := New(options).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, name := range []string{"process_resident_memory_bytes", "go_goroutines"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// Shards count while scrapes read: no scrape sees a counter go back or a
// histogram whose count is not that of its buckets, and the last sees all.
func TestScrapeWhileCounting(t *testing.T) {
	const shards, rounds = 4, 5000
	m := New(options)
	var wg sync.WaitGroup
	for range shards {
		s := m.NewShard()
		serving, now := serve(m, served, s)
		d := now[0]
		wg.Go(func() {
			for i := range rounds {
				s.Count(FlowsOpened, 1)
				s.Set(Flows, i)
				s.Count(DropLate, 1)
				if i%100 == 0 { // a reload
					before := serving
					var now []*Decisions
					serving, now = serve(m, served, s)
					d = now[0]
					before.Retire()
				}
				d.Decision(i%4-1, i%3, i%3-1, time.Duration(i)*time.Microsecond, time.Duration(i))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	last, lastDecided := 0.0, 0.0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			switch f.GetName() {
			case "serveflow_flows_total":
				n := f.Metric[0].Counter.GetValue()
				if n < last {
					t.Fatalf("flows_total went from %v to %v", last, n)
				}
				last = n
			case "serveflow_labels_total":
				n := 0.0
				for _, one := range f.Metric {
					n += one.Counter.GetValue()
				}
				if n < lastDecided {
					t.Fatalf("the sum of labels_total went from %v to %v", lastDecided, n)
				}
				lastDecided = n
			case "serveflow_serving_latency_seconds":
				checkHistogram(t, f.Metric[0].Histogram)
			}
		}
	}
	if last != shards*rounds || lastDecided != last {
		t.Errorf("flows_total = %v, the sum of labels_total %v, want %d", last, lastDecided, shards*rounds)
	}
}

func checkHistogram(t *testing.T, h *dto.Histogram) {
	t.Helper()
	below := uint64(0)
	for _, b := range h.Bucket {
		if b.GetCumulativeCount() < below {
			t.Fatalf("bucket %v holds %d, the one below it %d", b.GetUpperBound(), b.GetCumulativeCount(), below)
		}
		below = b.GetCumulativeCount()
	}
	if h.GetSampleCount() < below {
		t.Fatalf("count is %d, the buckets hold %d", h.GetSampleCount(), below)
	}
}

func TestBucket(t *testing.T) {
	for i, b := range bounds {
		if i > 0 && b <= bounds[i-1] {
			t.Fatalf("bound %v is after %v", b, bounds[i-1])
		}
		if got := bucket(b); got != i {
			t.Errorf("bucket(%v) = %d, want %d", b, got, i)
		}
		if got := bucket(b + 1); got != i+1 {
			t.Errorf("bucket(%v) = %d, want %d", b+1, got, i+1)
		}
	}
	if got := bucket(math.MaxInt64); got != len(bounds) {
		t.Errorf("the longest time is in bucket %d", got)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	m := New(options)
	s := m.NewShard()
	_, now := serve(m, served, s)
	if n := testing.AllocsPerRun(100, func() { count(m, s, now[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func count(m *Metrics, s *Shard, d *Decisions) {
	m.Count(EventPacket, 1)
	s.Count(FlowsOpened, 1)
	s.Set(Flows, 1)
	s.Count(DropDuplicate, 1)
	d.Decision(1, 1, 1, time.Millisecond, time.Microsecond)
}

func BenchmarkDecision(b *testing.B) {
	m := New(options)
	_, now := serve(m, served, m.NewShard())
	b.ReportAllocs()
	for b.Loop() {
		now[0].Decision(1, 1, 1, 16*time.Millisecond, 20*time.Microsecond)
	}
}

// BenchmarkShards counts on every processor at once: the time of one count
// stays that of BenchmarkDrop only if shards do not share cache lines.
func BenchmarkShards(b *testing.B) {
	m := New(options)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := m.NewShard()
		for pb.Next() {
			s.Count(DropLate, 1)
		}
	})
}

func BenchmarkDrop(b *testing.B) {
	s := New(options).NewShard()
	b.ReportAllocs()
	for b.Loop() {
		s.Count(DropLate, 1)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := busy()
	for range 16 {
		m.NewShard()
	}
	h := m.Handler(healthy)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		w.Body = nil
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
