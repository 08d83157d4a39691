package drift

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
)

var shape = Shape{Labels: 2, Stages: 2, Packets: 3, Masks: feature.MaskAll}

// reference is one that fits.
func reference() *Reference {
	return &Reference{
		Scores: []int{0, 0, 0, 0, 0, 10, 10, 20, 20, 40},
		Labels: []int{10, 60, 30},
		Stages: []int{75, 25},
		Features: []Feature{
			{Name: "p1_payload", Edges: []float32{99.5, 100, 200}, Flows: []int{0, 25, 50, 25, 0}},
			{Name: "p2_ipv4_ttl", Edges: []float32{64}, Flows: []int{75, 20, 5}},
		},
	}
}

func TestPSI(t *testing.T) {
	tests := []struct {
		name             string
		expected, actual []int
		want             float64
	}{
		{"the same", []int{10, 20, 70}, []int{10, 20, 70}, 0},
		{"the same shares of more", []int{1, 0, 2, 7}, []int{1e5, 0, 2e5, 7e5}, 0},
		// (.3-.5) ln(.3/.5) + (.7-.5) ln(.7/.5)
		{"shifted", []int{5e6, 5e6}, []int{3e6, 7e6}, .2 * math.Log(7./3)},
		{"back", []int{3e6, 7e6}, []int{5e6, 5e6}, .2 * math.Log(7./3)},
		// .5/101 against 100.5/101, both ways.
		{"all of it in an empty bin", []int{100, 0}, []int{0, 100}, 2 * 100. / 101 * math.Log(201)},
		// As if 100 were expected, 100.5/101 and .5/101 against 50.5/101 twice.
		{"half of it in an empty bin", []int{1e6, 0}, []int{50, 50}, 50. / 101 * math.Log(201)},
		{"nothing", []int{0, 0}, []int{0, 0}, 0},
	}
	for _, test := range tests {
		if got := PSI(test.expected, test.actual); math.Abs(got-test.want) > 1e-4 {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	if errs := reference().Check(shape); len(errs) > 0 {
		t.Fatal(errs)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	long := make([]float32, maxEdges+1)
	for i := range long {
		long[i] = float32(i)
	}
	tests := []struct {
		name   string
		change func(*Reference)
		want   string
	}{
		{"nothing", func(r *Reference) { *r = Reference{} }, "scores: 0 numbers: give 10"},
		{"no flows", func(r *Reference) { r.Scores = make([]int, 10) }, "scores: no flows"},
		{"labels", func(r *Reference) { r.Labels = r.Labels[:2] }, "labels: 2 numbers: give 3"},
		{"stages", func(r *Reference) { r.Stages = append(r.Stages, 0) }, "stages: 3 numbers: give 2"},
		{"negative", func(r *Reference) { r.Labels[0], r.Labels[1] = -10, 80 }, "labels: [0]: -10"},
		{"too many", func(r *Reference) { r.Stages[1] = math.MaxInt }, "stages: [1]"},
		{"another number of flows", func(r *Reference) { r.Stages[1]++ }, "stages: 101 flows, and 100 under scores"},
		{"unknown feature", func(r *Reference) { r.Features[0].Name = "p1_mood" }, `feature[0].name: "p1_mood" is not a number of a flow`},
		{"a bit", func(r *Reference) { r.Features[0].Name = "p1_ipv4_ttl_0" }, "feature[0].name"},
		{"a wide field", func(r *Reference) { r.Features[0].Name = "p1_ipv4_src" }, "feature[0].name"},
		{"a packet beyond", func(r *Reference) { r.Features[1].Name = "p4_len" }, "uses packet 4 of 3"},
		{"twice", func(r *Reference) { r.Features[1].Name = "p1_payload" }, "listed twice"},
		{"edge NaN", func(r *Reference) { r.Features[0].Edges[0] = nan }, "feature[0].edges: [0]: NaN"},
		{"edge infinite", func(r *Reference) { r.Features[0].Edges[2] = inf }, "feature[0].edges: [2]: +Inf"},
		{"edges that fall", func(r *Reference) { r.Features[0].Edges[2] = 1 }, "is not above 100"},
		{"edges that stand", func(r *Reference) { r.Features[0].Edges[2] = 100 }, "is not above 100"},
		{"edges without end", func(r *Reference) { r.Features[0].Edges = long }, "give at most 64"},
		{"bins", func(r *Reference) { r.Features[0].Flows = []int{100} }, "feature[0].flows: 1 numbers: give 5"},
		{"negative bin", func(r *Reference) { r.Features[0].Flows[1] = -25 }, "feature[0].flows: [1]: -25"},
		{"features without end", func(r *Reference) { r.Features = make([]Feature, maxFeatures+1) }, "65 features: give at most 64"},
	}
	for _, test := range tests {
		r := reference()
		test.change(r)
		p, err := Compile(r, shape)
		if err == nil || p != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	blind := shape
	blind.Meta = true
	if _, err := Compile(reference(), blind); err == nil || !strings.Contains(err.Error(), `"p2_ipv4_ttl" needs headers`) {
		t.Errorf("a feature of headers for taps without: %v", err)
	}
}

// flow is a flow of two packets with so many bytes in the first.
func flow(payload int32) []packet.Packet {
	flow := make([]packet.Packet, 2)
	flow[0].SetMeta(packet.Tuple{Proto: packet.UDP}, 1, packet.Originator, payload)
	flow[1].SetMeta(packet.Tuple{Proto: packet.UDP}, 2, packet.Responder, payload)
	return flow
}

func TestCounter(t *testing.T) {
	p, err := New(shape, []Feature{{Name: "p1_payload", Edges: []float32{99.5, 100, 200}}, {Name: "p2_ipv4_ttl", Edges: []float32{64}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	c.Count(-1, 0, 0, flow(packet.Missing))
	c.Count(0, 1, .1, flow(99))
	c.Count(1, 1, .99, flow(100))
	c.Count(1, 1, 1, flow(200))
	c.Count(1, 1, nan, flow(201)) // a model that is broken breaks nothing here
	c.Count(1, 1, -7, nil)
	want := &Reference{
		Scores: []int{3, 1, 0, 0, 0, 0, 0, 0, 0, 2},
		Labels: []int{1, 1, 4},
		Stages: []int{1, 5},
		Features: []Feature{
			{Name: "p1_payload", Edges: []float32{99.5, 100, 200}, Flows: []int{2, 1, 1, 1, 1}},
			{Name: "p2_ipv4_ttl", Edges: []float32{64}, Flows: []int{6, 0, 0}},
		},
	}
	if got := c.Reference(); !reflect.DeepEqual(got, want) {
		t.Errorf("counted %+v,\nwant %+v", got, want)
	}
	if errs := want.Check(shape); len(errs) > 0 {
		t.Errorf("what was counted is refused: %v", errs)
	}
}

// like counts n flows that are as the reference has them.
func like(c *Counter, n int) {
	for i := range n {
		class, stage, payload := 0, 0, int32(100)
		switch k := i * 37 % 100; {
		case k < 10:
			class = -1
		case k >= 70:
			class = 1
		}
		if i*61%100 >= 75 {
			stage = 1
		}
		if k := i * 71 % 100; k < 25 {
			payload = 50
		} else if k >= 75 {
			payload = 150
		}
		scores := []float32{.55, .65, .75, .75, .85, .85, .95, .95, .95, .95}
		c.Count(class, stage, scores[i*7%10], flow(payload))
	}
}

func TestWindow(t *testing.T) {
	r := reference()
	r.Features = r.Features[:1]
	for _, counts := range [][]int{r.Scores, r.Labels, r.Stages, r.Features[0].Flows} {
		for i := range counts {
			counts[i] *= 100
		}
	}
	p, err := Compile(r, shape)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWindow(p)
	one, err := w.NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	reported := func(flows int) map[string]float64 {
		t.Helper()
		n, indexes := w.Read()
		if n != flows {
			t.Errorf("%d flows, want %d", n, flows)
		}
		all := map[string]float64{}
		for _, i := range indexes {
			all[i.Of] = i.PSI
		}
		return all
	}
	like(one, minFlows-100)
	w.Take(one)
	w.Take(one) // which has nothing more
	if got := reported(minFlows - 100); len(got) != 0 {
		t.Errorf("too few flows: %v", got)
	}
	like(two, 100)
	w.Take(two)
	if got := reported(minFlows); len(got) != 3 {
		t.Errorf("%d flows: %v, want all but the feature, of which there is a sample", minFlows, got)
	}
	for range 9 {
		like(one, 500)
		like(two, 500)
		w.Take(one)
		w.Take(two)
	}
	got := reported(2 * half)
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
	for of, psi := range got {
		if psi > .01 || psi < 0 {
			t.Errorf("%s: %v, and nothing has changed", of, psi)
		}
	}
	// Others come, and none of those before is left in the end.
	for range 2 {
		for range half {
			one.Count(1, 1, .45, flow(1000))
		}
		w.Take(one)
	}
	got = reported(2 * half)
	want := map[string]float64{
		"score":              PSI(r.Scores, []int{0, 0, 0, 0, 2 * half, 0, 0, 0, 0, 0}),
		"label":              PSI(r.Labels, []int{0, 0, 2 * half}),
		"stage":              PSI(r.Stages, []int{0, 2 * half}),
		"feature:p1_payload": got["feature:p1_payload"],
	}
	if !reflect.DeepEqual(got, want) || got["feature:p1_payload"] < 2 {
		t.Errorf("got %v, want %v", got, want)
	}
	// The older half goes when the newer is full.
	like(two, 10)
	w.Take(two)
	reported(half + 10)
}

// TestSample counts features of a quarter of the flows, whatever their rhythm.
func TestSample(t *testing.T) {
	p, err := New(shape, []Feature{{Name: "p1_payload", Edges: []float32{1, 2, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewWindow(p).NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	const flows = 100_000
	for i := range flows {
		c.Count(0, 0, 1, flow(int32(i%4)+1))
	}
	for i, n := range c.Reference().Features[0].Flows[1:] {
		if share := float64(n) / flows; math.Abs(share-.0625) > .005 {
			t.Errorf("of every fourth flow from %d on a share of %v of all was counted, want .0625", i, share)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	features := []Feature{}
	for _, name := range []string{"p1_ipv4_ttl", "p1_tcp_wsize", "p1_payload", "first3_orig_bytes", "p2_gap", "resp_port", "p2_len", "first3_duration"} {
		features = append(features, Feature{Name: name, Edges: []float32{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}})
	}
	p, err := New(shape, features)
	if err != nil {
		b.Fatal(err)
	}
	all, err := p.NewCounter()
	if err != nil {
		b.Fatal(err)
	}
	sample, err := NewWindow(p).NewCounter()
	if err != nil {
		b.Fatal(err)
	}
	packets := flow(100)
	for name, c := range map[string]*Counter{"all": all, "sample": sample} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Count(0, 0, .9, packets)
			}
		})
	}
}
