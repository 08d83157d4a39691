package novelty

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/forest"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
	"serveflow/sidecar/model/modeltest"
)

// stump is a text of two columns and two classes, whose trees have two leaves
// each: of class 0 on column 0, of class 1 on column 1. Iteration is how often.
func ensemble(iterations, groups int) *lightgbm.Ensemble {
	e := &lightgbm.Ensemble{Classes: 2, Groups: groups, Columns: []string{"a", "b"}}
	for i := range iterations * groups {
		e.Trees = append(e.Trees, lightgbm.Tree{
			Feature: []int32{int32(i % groups)}, Threshold: []float64{float64(10 + i/groups)}, Decision: []uint8{2},
			Left: []int32{^0}, Right: []int32{^1}, Leaf: []float64{1, -1},
		})
	}
	return e
}

// asked is a scorer that a profile goes with.
type asked struct {
	model.Trees
	t     testing.TB
	probs []float32
}

func scorer(t testing.TB, m model.Model) *asked {
	t.Helper()
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	return &asked{s.(model.Trees), t, make([]float32, m.Classes())}
}

func (a *asked) row(values ...float32) []float32 {
	if err := a.Score(a.probs, values, 1); err != nil {
		a.t.Fatal(err)
	}
	return values
}

func TestStrangeness(t *testing.T) {
	m := forest.New(ensemble(3, 2)) // class 0 splits column 0 at 10, 11 and 12, class 1 column 1
	p, s := New(m), scorer(t, m)
	for _, row := range [][]float32{{0, 0}, {11, 4}} {
		p.Add(0, s.row(row...), s)
	}
	p.Add(1, s.row(50, 50), s)
	for _, test := range []struct {
		class int
		row   []float32
		prob  float32
		want  float64
	}{
		{0, []float32{0, 0}, 1, 0},
		{0, []float32{0, 0}, .25, .25}, // not sure
		{0, []float32{11, 4}, 1, 0},
		{0, []float32{5, 2}, 1, 0},                                      // between them
		{0, []float32{5, 5}, 1, math.Sqrt(1. / 3)},                      // one column is above
		{0, []float32{-1, -1}, 1, math.Sqrt(math.Sqrt2 / 3)},            // two are below
		{0, []float32{12, 4}, 1, math.Sqrt(2. / 3)},                     // above, and beyond 11, but not beyond 10 and 12
		{0, []float32{13, 5}, .625, math.Sqrt((2+math.Sqrt2)/3) + .125}, // beyond 11 and 12
		{1, []float32{50, 50}, 1, 0},
		{1, []float32{50, 0}, .25, math.Sqrt(4./3) + .25}, // all trees
		{1, []float32{float32(math.NaN()), 50}, .25, .25}, // no number is outside of nothing
	} {
		if got := p.Novelty(test.class, test.prob, s.row(test.row...), s); got != float32(test.want) {
			t.Errorf("%v is strange to class %d by %v, want %v", test.row, test.class, got, test.want)
		}
	}
}

// TestBinary has classes that share their trees and not what is known of them.
func TestBinary(t *testing.T) {
	m := forest.New(ensemble(2, 1))
	p, s := New(m), scorer(t, m)
	p.Add(0, s.row(0, 0), s)
	p.Add(1, s.row(20, 0), s)
	for class, want := range []float64{0, math.Sqrt(3. / 2)} {
		if got := p.Novelty(class, 1, s.row(0, 0), s); got != float32(want) {
			t.Errorf("strange to class %d by %v, want %v", class, got, want)
		}
	}
}

// shipped is a model of the bundle that comes with the program, with a profile of
// its golden rows: every second is in it.
func shipped(t testing.TB, name string) (*lightgbm.Ensemble, *Profile, [][]float32) {
	t.Helper()
	path := "../../../models/iot-device/" + name
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := lightgbm.Parse(text, 20)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(path + ".golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Rows, Probs [][]float32 }
	if err := model.ReadJSON(bytes.NewReader(golden), &g, 1<<24); err != nil {
		t.Fatal(err)
	}
	m := forest.New(e)
	p, s := New(m), scorer(t, m)
	for i := 0; i < len(g.Rows); i += 2 {
		p.Add(best(g.Probs[i]), s.row(g.Rows[i]...), s)
	}
	return e, p, g.Rows
}

func best(probs []float32) int { return slices.Index(probs, slices.Max(probs)) }

// TestFile writes a profile, reads it for both evaluators, and asks all three.
func TestFile(t *testing.T) {
	e, p, rows := shipped(t, "large10.txt")
	text := p.Encode()
	reference, err := leaves.New(e)
	if err != nil {
		t.Fatal(err)
	}
	own, strange := scorer(t, forest.New(e)), 0
	for _, m := range []model.Model{forest.New(e), reference} {
		again, err := Parse(text, m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Encode(), text) {
			t.Error("written again it differs")
		}
		s := scorer(t, m)
		for i, row := range rows {
			s.row(row...)
			own.row(row...)
			class := best(own.probs)
			want := p.Novelty(class, 1, row, own)
			if got := again.Novelty(class, 1, row, s); got != want {
				t.Fatalf("row %d is strange by %v, want %v", i, got, want)
			}
			if i%2 == 0 && want != 0 {
				t.Fatalf("row %d is strange by %v and in the profile", i, want)
			}
			if want != 0 {
				strange++
			}
		}
	}
	if strange == 0 {
		t.Error("no row is strange")
	}
	if n := testing.AllocsPerRun(100, func() { p.Novelty(3, .5, rows[0], own) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseRefuses(t *testing.T) {
	m := forest.New(ensemble(1, 2))
	const good = `{"least":[[0,0],[0,0]],"most":[[1,1],[1,1]],"known":[["01"],["11"]]}`
	if _, err := Parse([]byte(good), m); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{good, "", "EOF"},
		{good, good[:30], "EOF"},
		{good, good + "{}", "data after"},
		{good, `{"least":[],"x":1}`, "unknown field"},
		{`[[0,0],[0,0]]`, `[[0,0]]`, "least, most and known have 1, 2 and 2 classes, the model has 2"},
		{`[["01"],["11"]]`, `[["01"]]`, "have 2, 2 and 1 classes"},
		{`[[1,1],`, `[[1],`, "class 0: 2 and 1 bounds, the model has 2 columns"},
		{`[[0,0],`, `[[0,2],`, "class 0: column 1: 2 to 1 is not a range"},
		{`[[0,0],`, `[[0,1e39],`, "cannot unmarshal number 1e39"},
		{`[[0,0],`, `[[0,NaN],`, "invalid character"},
		{`["11"]`, `["11","11"]`, "class 1: 2 trees, the model has 1 of the class"},
		{`"11"`, `"111"`, `class 1: tree 0: "111" is not 2 times`},
		{`"11"`, `"1x"`, `"1x" is not 2 times 0 or 1`},
		{`"11"`, `""`, `"" is not 2 times`},
	} {
		text := strings.Replace(good, test.old, test.new, 1)
		if _, err := Parse([]byte(text), m); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", text, err, test.want)
		}
	}
	if _, err := Parse([]byte(good), modeltest.Sure(1, 2, "a", "b")); err == nil || !strings.Contains(err.Error(), "only models of trees") {
		t.Errorf("a profile of another kind of model: %v", err)
	}
}

// FuzzParse looks for a text that Parse panics at, or whose profile does, or that
// differs when it is written and read again.
func FuzzParse(f *testing.F) {
	m := forest.New(ensemble(1, 2))
	f.Add([]byte(`{"least":[[0,0],[0,-1e30]],"most":[[1,1],[1,1]],"known":[["01"],["11"]]}`), float32(1))
	f.Add(New(m).Encode(), float32(0))
	f.Fuzz(func(t *testing.T, text []byte, x float32) {
		p, err := Parse(text, m)
		if err != nil {
			return
		}
		s := scorer(t, m)
		row := s.row(x, -x)
		for class := range 2 {
			if v := p.Novelty(class, s.probs[class], row, s); !(v >= 0 && v < 2.1) { // √(1+√2) and a third
				t.Fatalf("strange by %v", v)
			}
		}
		again, err := Parse(p.Encode(), m)
		if err != nil || !bytes.Equal(again.Encode(), p.Encode()) {
			t.Fatalf("written and read again it differs, %v", err)
		}
	})
}

// BenchmarkStrangeness scores golden rows of the bundle that ships, and says how
// strange one is to the class it is given to.
func BenchmarkStrangeness(b *testing.B) {
	for _, name := range []string{"tree1.txt", "small2.txt", "small3.txt", "large10.txt"} {
		e, p, rows := shipped(b, name)
		s := scorer(b, forest.New(e))
		b.Run(name+"/score", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % len(rows) {
				s.row(rows[i]...)
			}
		})
		class := best(s.probs)
		b.Run(name+"/strangeness", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % len(rows) {
				p.Novelty(class, s.probs[class], rows[i], s)
			}
		})
	}
}
