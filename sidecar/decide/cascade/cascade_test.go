package cascade

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/forest"
	"serveflow/sidecar/model/lightgbm"
	"serveflow/sidecar/model/modeltest"
)

func stage(t testing.TB, name string, packets int, m model.Model, thresholds ...float32) Stage {
	t.Helper()
	plan, err := feature.Compile(m.Columns(), feature.MaskAll)
	if err != nil {
		t.Fatal(err)
	}
	return Stage{Name: name, Packets: packets, Plan: plan, Model: m, Thresholds: thresholds}
}

func payloads(sizes ...int32) []packet.Packet {
	flow := make([]packet.Packet, len(sizes))
	for i, n := range sizes {
		flow[i].SetMeta(packet.Tuple{Proto: 6}, int64(i), packet.Originator, n)
	}
	return flow
}

func TestNewNamesWhatDoesNotFit(t *testing.T) {
	one := func(classes int) model.Model { return modeltest.Sure(1, classes, "p1_payload") }
	third := modeltest.Sure(1, 2, "p3_payload")
	tests := []struct {
		name   string
		stages []Stage
		want   string
	}{
		{"no stage", nil, "at least one stage"},
		{"classes", []Stage{stage(t, "a", 1, one(3), 0)}, "3 classes but there are 2 labels"},
		{"no packets", []Stage{stage(t, "a", 0, one(2), 0)}, "needs at least 1"},
		{"looks ahead", []Stage{stage(t, "a", 2, third, 0)}, "uses packet 3 but the stage waits for 2"},
		{"goes back", []Stage{stage(t, "a", 2, one(2), 0), stage(t, "b", 1, one(2), 0)}, "fewer packets"},
		{"thresholds", []Stage{stage(t, "a", 1, one(2), 0, 0, 0)}, "one for each of 2"},
		{"threshold below zero", []Stage{stage(t, "a", 1, one(2), -1)}, "at least 0"},
		{"threshold no number", []Stage{stage(t, "a", 1, one(2), float32(math.NaN()))}, "at least 0"},
		{"fits", []Stage{stage(t, "a", 1, one(2), .5), stage(t, "b", 3, third, 2, 0)}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := New([]string{"x", "y"}, test.stages)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Stages[0].Thresholds) != 2 || c.Packets() != 3 || c.Last() != 1 {
					t.Errorf("built as %+v", c)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// trees is a model of one tree for each of two classes, on the first payload: class
// 0 up to 10, class 1 above.
func trees(t testing.TB) model.Model {
	t.Helper()
	m, err := lightgbm.Parse([]byte(`tree
version=v3
num_class=2
num_tree_per_iteration=2
max_feature_idx=0
objective=multiclass num_class:2
feature_names=p1_payload
tree_sizes=1 1

Tree=0
num_leaves=3
num_cat=0
split_feature=0 0
threshold=10 100
decision_type=2 2
left_child=-1 -2
right_child=1 -3
leaf_value=1 -1 -1

Tree=1
num_leaves=3
num_cat=0
split_feature=0 0
threshold=10 100
decision_type=2 2
left_child=-1 -2
right_child=1 -3
leaf_value=-1 1 1

end of trees
`), 2)
	if err != nil {
		t.Fatal(err)
	}
	return forest.New(m)
}

func TestScoreDoesNotAllocate(t *testing.T) {
	c, err := New([]string{"x", "y"}, []Stage{stage(t, "a", 1, trees(t), .5)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	for size, class := range map[int32]int{5: 0, 25: 1, 200: 1} {
		flow := payloads(size)
		if v, err := r.Score(0, flow); err != nil || v.Class != class || !v.Accepted {
			t.Errorf("payload of %d: %+v, %v", size, v, err)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = r.Score(0, flow) }); n > 0 {
			t.Errorf("%v allocations for a flow", n)
		}
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name       string
		measure    Measure
		probs      []float32
		thresholds []float32
		want       Verdict
	}{
		{"sure", MaxProbability, []float32{.1, .7, .2}, []float32{0, .7, 0}, Verdict{1, .7, .5, .7, true}},
		{"not sure enough for this class", MaxProbability, []float32{.1, .7, .2}, []float32{0, .71, 0}, Verdict{1, .7, .5, .7, false}},
		{"never", MaxProbability, []float32{1, 0, 0}, []float32{2, 0, 0}, Verdict{0, 1, 1, 1, false}},
		{"margin", Margin, []float32{.6, .1, .3}, []float32{.2, 1, 1}, Verdict{0, .6, .3, .3, true}},
		{"the first of equals", MaxProbability, []float32{.5, .5, 0}, []float32{.5, 1, 1}, Verdict{0, .5, 0, .5, true}},
		{"entropy of a certainty", Entropy, []float32{0, 0, 1}, []float32{1, 1, 1}, Verdict{2, 1, 1, 1, true}},
		{"entropy of no idea", Entropy, []float32{.25, .25, .25, .25}, []float32{0.1, 1, 1, 1}, Verdict{0, .25, 0, 0, false}},
	}
	for _, test := range tests {
		s := Stage{Measure: test.measure, Thresholds: test.thresholds}
		got := s.verdict(test.probs)
		near := func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }
		if got.Class != test.want.Class || got.Accepted != test.want.Accepted || !near(got.Score, test.want.Score) ||
			!near(got.Margin, test.want.Margin) || !near(got.Confidence, test.want.Confidence) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	nan := float32(math.NaN())
	if v := (&Stage{Thresholds: []float32{0, 0}}).verdict([]float32{nan, nan}); v.Accepted {
		t.Error("a model that answers with no numbers was believed")
	}
}

func TestMeasuresByName(t *testing.T) {
	for _, m := range []Measure{MaxProbability, Margin, Entropy} {
		if got, err := ParseMeasure(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := ParseMeasure("gini"); err == nil || !strings.Contains(err.Error(), "max_probability") {
		t.Errorf("error %v names no measure that there is", err)
	}
}

func TestRunnerAndBatcherAgree(t *testing.T) {
	m := modeltest.Sure(.8, 3, "p1_payload")
	c, err := New([]string{"x", "y", "z"}, []Stage{stage(t, "only", 1, m, .5)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const flows = 100
	b, err := NewBatcher[uint32](c, 0, 8, 4)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan *Job[uint32], b.Jobs())
	answers := map[uint32]Verdict{}
	take := func(j *Job[uint32]) {
		answers[j.Tag] = j.Verdict
		j.Release()
	}
	for i := range uint32(flows) {
		for asked := false; !asked; {
			select {
			case j := <-b.Free():
				b.Ask(j, i, payloads(int32(i)), time.Time{}, done)
				asked = true
			case j := <-done:
				take(j)
			}
		}
	}
	for len(answers) < flows {
		take(<-done)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(flows) {
		want, err := r.Score(0, payloads(int32(i)))
		if err != nil {
			t.Fatal(err)
		}
		if answers[i] != want || want.Class != int(i)%3 {
			t.Errorf("flow %d: batched %+v, alone %+v", i, answers[i], want)
		}
	}
	for _, n := range m.Batches() {
		if n > 4 {
			t.Errorf("a batch of %d, the most is 4", n)
		}
	}
}

func TestModelFailureReachesTheCaller(t *testing.T) {
	broken := errors.New("no luck")
	m := modeltest.Sure(1, 2, "p1_payload")
	m.Answer = func(_, _ []float32) error { return broken }
	c, err := New([]string{"x", "y"}, []Stage{stage(t, "only", 1, m, .5)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Score(0, payloads(1)); !errors.Is(err, broken) || !strings.Contains(err.Error(), `"only"`) {
		t.Errorf("error %v", err)
	}
	b, err := NewBatcher[uint32](c, 0, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan *Job[uint32], 1)
	b.Ask(<-b.Free(), 7, payloads(1), time.Time{}, done)
	if j := <-done; !errors.Is(j.Err, broken) || j.Tag != 7 {
		t.Errorf("job %+v", j)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestOnlyIsTheLastStage(t *testing.T) {
	m := modeltest.Sure(1, 2, "p1_payload")
	c, err := New([]string{"x", "y"}, []Stage{stage(t, "fast", 1, m, 2), stage(t, "slow", 5, m, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if o := c.LastStageOnly(); len(o.Stages) != 1 || o.Stages[0].Name != "slow" || o.Packets() != 5 {
		t.Errorf("only: %+v", o)
	}
	if c.NeedsHeaders() {
		t.Error("payload lengths need headers")
	}
}

func BenchmarkRunner(b *testing.B) {
	m := modeltest.Sure(.9, 19, "p1_payload")
	c, err := New(make([]string, 19), []Stage{stage(b, "only", 1, m, .5)})
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.NewRunner()
	if err != nil {
		b.Fatal(err)
	}
	flow := payloads(3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Score(0, flow); err != nil {
			b.Fatal(err)
		}
	}
}

// timedModel notes the deadline that its scorers are given.
type timedModel struct {
	*modeltest.Model
	deadline time.Time
}

type timedScorer struct {
	model.Scorer
	m *timedModel
}

func (m *timedModel) NewScorer() (model.Scorer, error) {
	s, err := m.Model.NewScorer()
	return timedScorer{s, m}, err
}

func (s timedScorer) SetDeadline(t time.Time) { s.m.deadline = t }

// A panic in a batched model, which runs in a goroutine of its own, is an error of its
// flows: there, nobody else could recover from it.
func TestBatchPanics(t *testing.T) {
	m := modeltest.Sure(.9, 2, "p1_payload")
	answer := m.Answer
	m.Answer = func(probs, row []float32) error {
		if row[0] == 7 {
			panic("on purpose")
		}
		return answer(probs, row)
	}
	b := batcherOf(t, m)
	done := make(chan *Job[uint32], 4)
	b.Ask(<-b.Free(), 1, payloads(7), time.Time{}, done)
	if j := <-done; j.Err == nil || !strings.Contains(j.Err.Error(), "on purpose") {
		t.Errorf("the answer is %+v, %v", j.Verdict, j.Err)
	}
	b.Ask(<-b.Free(), 2, payloads(1), time.Time{}, done)
	if j := <-done; j.Err != nil || j.Verdict.Class != 1 {
		t.Errorf("the next answer is %+v, %v", j.Verdict, j.Err)
	}
}

// A batch has to be answered by when the first of its flows has, and a flow whose time is
// over is not asked about.
func TestBatchDeadline(t *testing.T) {
	m := &timedModel{Model: modeltest.Sure(.9, 2, "p1_payload")}
	b := batcherOf(t, m)
	done := make(chan *Job[uint32], 4)
	soon := time.Now().Add(time.Hour)
	b.Ask(<-b.Free(), 1, payloads(1), time.Now().Add(-time.Second), done)
	if j := <-done; !errors.Is(j.Err, errExpired) || len(m.Batches()) != 0 {
		t.Errorf("%v after %d requests", j.Err, len(m.Batches()))
	}
	b.Ask(<-b.Free(), 2, payloads(1), soon, done)
	if j := <-done; j.Err != nil || !m.deadline.Equal(soon) {
		t.Errorf("%v, deadline %v", j.Err, m.deadline)
	}
	b.Ask(<-b.Free(), 3, payloads(1), time.Time{}, done)
	if j := <-done; j.Err != nil || !m.deadline.IsZero() {
		t.Errorf("%v, deadline %v", j.Err, m.deadline)
	}
}

// batcherOf is a batcher of a cascade whose only stage is a model, and is closed when the
// test ends.
func batcherOf(t *testing.T, m model.Model) *Batcher[uint32] {
	t.Helper()
	only := stage(t, "only", 1, m, .5)
	only.Batched = true
	c, err := New([]string{"a", "b"}, []Stage{only})
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBatcher[uint32](c, 0, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}
