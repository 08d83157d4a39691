package leaves

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/lightgbm"
)

// models are LightGBM's own texts, with golden rows that LightGBM computed;
// models/train/make_testdata.py wrote them.
var models = []struct {
	name    string
	classes int
}{
	{"multiclass", 3}, {"dart", 3}, {"constant", 3}, {"zero", 3}, {"binary", 2}, {"onecolumn", 2},
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../lightgbm/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parsed(text []byte, classes int) (model.Model, error) {
	e, err := lightgbm.Parse(text, classes)
	if err != nil {
		return nil, err
	}
	return New(e)
}

func load(t testing.TB, name string, classes int) model.Model {
	t.Helper()
	m, err := parsed(read(t, name+".txt"), classes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGoldenRows(t *testing.T) {
	for _, test := range models {
		t.Run(test.name, func(t *testing.T) {
			text := read(t, test.name+".txt")
			rows := read(t, test.name+".txt.golden.json")
			for _, version := range []string{"v4", "v3"} {
				text = bytes.Replace(text, []byte("version=v4\n"), []byte("version="+version+"\n"), 1)
				m, err := parsed(text, test.classes)
				if err != nil {
					t.Fatal(err)
				}
				if m.Classes() != test.classes {
					t.Errorf("%d classes, want %d", m.Classes(), test.classes)
				}
				if err := model.CheckGolden(m, bytes.NewReader(rows), 1e-6); err != nil {
					t.Error(err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestColumnsCannotBeChanged(t *testing.T) {
	m := load(t, "multiclass", 3)
	m.Columns()[0] = "other"
	if got := strings.Join(m.Columns(), " "); got != "c0 c1 c2 c3 c4 c5" {
		t.Errorf("columns %q", got)
	}
}

func TestScoreBatch(t *testing.T) {
	m := load(t, "multiclass", 3)
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	const n = 9
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), n*6)
	probs := make([]float32, n*3)
	if err := s.Score(probs, rows, n); err != nil {
		t.Fatal(err)
	}
	one := make([]float32, 3)
	for i := range n {
		if err := s.Score(one, rows[i*6:(i+1)*6], 1); err != nil {
			t.Fatal(err)
		}
		sum := float32(0)
		for k, p := range one {
			sum += p
			if p != probs[i*3+k] {
				t.Errorf("row %d: alone %v, in the batch %v", i, one, probs[i*3:(i+1)*3])
			}
		}
		if math.Abs(float64(sum)-1) > 1e-6 {
			t.Errorf("row %d: probabilities sum to %g", i, sum)
		}
	}
	if err := s.Score(nil, nil, 0); err != nil {
		t.Errorf("no rows: %v", err)
	}
}

func TestScoreLengths(t *testing.T) {
	s, _ := load(t, "multiclass", 3).NewScorer()
	for _, test := range []struct{ probs, rows, n int }{
		{3, 5, 1}, {3, 7, 1}, {2, 6, 1}, {4, 6, 1}, {3, 6, 2}, {3, 6, -1}, {0, 0, 1},
	} {
		if err := s.Score(make([]float32, test.probs), make([]float32, test.rows), test.n); err == nil {
			t.Errorf("%+v: no error", test)
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"multiclass", "binary"} {
		classes := map[string]int{"multiclass": 3, "binary": 2}[name]
		s, _ := load(t, name, classes).NewScorer()
		rows := randomRows(rand.New(rand.NewPCG(3, 4)), 4*6)
		probs := make([]float32, 4*classes)
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Score(probs, rows, 4); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestScorersShareAModel(t *testing.T) {
	m := load(t, "multiclass", 3)
	rows := randomRows(rand.New(rand.NewPCG(5, 6)), 50*6)
	want := make([]float32, 50*3)
	s, _ := m.NewScorer()
	if err := s.Score(want, rows, 50); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := m.NewScorer()
			if err != nil {
				t.Error(err)
				return
			}
			got := make([]float32, 50*3)
			for range 20 {
				if err := s.Score(got, rows, 50); err != nil {
					t.Error(err)
				}
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("value %d: %g, want %g", i, got[i], want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEvaluatorPanicIsAnError(t *testing.T) {
	// A cycle that Parse would refuse: built by hand, it must not bring the
	// process down either.
	bad := &lightgbm.Ensemble{Classes: 2, Groups: 1, Columns: []string{"a"}, Trees: []lightgbm.Tree{{
		Feature: []int32{0}, Threshold: []float64{0}, Decision: []uint8{2},
		Left: []int32{5}, Right: []int32{-1}, Leaf: []float64{0, 1},
	}}}
	if _, err := New(bad); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("error %v", err)
	}
	m := load(t, "binary", 2).(*gbdt)
	s := &scorer{gbdt: &gbdt{m.Ensemble, nil}, raw: make([]float64, 1)} // without trees
	if err := s.Score(make([]float32, 2), nil, 1); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("error %v", err)
	}
}

func randomRows(r *rand.Rand, n int) []float32 {
	rows := make([]float32, n)
	for i := range rows {
		rows[i] = float32(r.IntN(8) - 1)
	}
	return rows
}
