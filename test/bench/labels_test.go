package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

func TestLabelsAreCountedOnce(t *testing.T) {
	s := &schedule{period: 1000, laps: 1, flows: []flow{{truth: "a", packets: []int64{0, 400}, end: 900}, {truth: "b", packets: []int64{500}}}}
	l := newLabels(s)
	l.due = func(at int64) time.Duration { return time.Duration(at) * time.Microsecond }
	l.measure(0)
	label := func(instance int64, flow uint32, name, reason string, packets int) *wire.Label {
		return &wire.Label{Flow: wire.UintID(s.id(instance, flow)), Label: name, Reason: reason, Packets: packets}
	}
	l.take(label(0, 0, "a", "accepted", 2), 450*time.Microsecond)    // due at 400
	l.take(label(0, 1, "a", "last_stage", 1), 503*time.Microsecond)  // due at 500, and wrong
	l.take(label(1, 0, "b", "flow_end", 1), 2000*time.Microsecond)   // due at 1900, and unlike before
	l.take(label(0, 0, "a", "accepted", 2), 460*time.Microsecond)    // again, when all have theirs
	l.take(label(1, 1, "a", "timeout", 1), 5000*time.Microsecond)    // whose trigger is not known
	l.take(&wire.Label{Flow: wire.UintID(7)}, 5000*time.Microsecond) // never sent
	if l.count != 4 || l.twice != 2 || l.differing != 1 || l.missing(3) != 2 {
		t.Errorf("%d labels, %d twice, %d differing, %d missing", l.count, l.twice, l.differing, l.missing(3))
	}
	if l.latency.n != 3 || l.latency.max != 100*time.Microsecond {
		t.Errorf("%d latencies up to %v, want 3 up to 100µs", l.latency.n, l.latency.max)
	}
	scores, flows := l.scores()
	if flows != 2 || scores.Macro != (2./3+0)/2 {
		t.Errorf("F1 %v of %d flows", scores.Macro, flows)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	r := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond) * float64(r.IntN(50)))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{.001, .5, .9, .99, .999, 1} {
		want, got := all[int(q*float64(len(all)))-1], h.quantile(q)
		if got < want || float64(got) > float64(want)*(1+1./steps)+1 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for _, d := range []time.Duration{0, 1, steps - 1, steps, 2*steps - 1, 2 * steps, 1 << 40, 1<<63 - 1} {
		if i := place(d); edge(i) < d || i > 0 && edge(i-1) >= d {
			t.Errorf("%d is counted in cell %d, of %d to %d", d, i, edge(i-1), edge(i))
		}
	}
}

func TestBucketQuantiles(t *testing.T) {
	first := []Bucket{{.001, 5}, {.01, 5}, {.1, 5}}
	last := []Bucket{{.001, 55}, {.01, 105}, {.1, 105}}
	q := bucketQuantiles(first, last)
	if q.P50 != 1 || q.P90 < 8 || q.P90 > 8.5 || q.P99 > 10 {
		t.Errorf("%+v", q)
	}
	if none := bucketQuantiles(first, first); none != (Quantiles{}) {
		t.Errorf("of nothing: %+v", none)
	}
}
