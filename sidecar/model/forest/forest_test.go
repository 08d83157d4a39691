package forest

import (
	"bytes"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
)

// texts are all LightGBM texts in the repository: those of bundles and those of
// tests.
func texts(t testing.TB) map[string]*lightgbm.Ensemble {
	t.Helper()
	all := map[string]*lightgbm.Ensemble{}
	for _, root := range []string{"../../../models", "../../../test/bundle", "../lightgbm/testdata"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".txt" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil || !bytes.HasPrefix(text, []byte("tree\n")) {
				return err
			}
			classes := 2
			for line := range strings.Lines(string(text)) {
				if words, ok := strings.CutPrefix(line, "objective=multiclass num_class:"); ok {
					classes = atoi(strings.TrimSpace(words))
				}
			}
			all[path], err = lightgbm.Parse(text, classes)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 12 {
		t.Fatalf("only %d models", len(all))
	}
	return all
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// rowMaker draws rows that matter to an ensemble: values at thresholds and next
// to them, and whatever counts as missing.
type rowMaker struct {
	r          *rand.Rand
	columns    int
	thresholds map[int32][]float64
}

func newRowMaker(e *lightgbm.Ensemble, seed uint64) *rowMaker {
	m := &rowMaker{rand.New(rand.NewPCG(seed, 1)), len(e.Columns), map[int32][]float64{}}
	for i := range e.Trees {
		for n, c := range e.Trees[i].Feature {
			m.thresholds[c] = append(m.thresholds[c], e.Trees[i].Threshold[n])
		}
	}
	return m
}

var odd = []float32{
	0, float32(math.Copysign(0, -1)), -1, 1, 1e-36, -1e-36, 1e-35, -1e-35, 2e-35, math.MaxFloat32, math.SmallestNonzeroFloat32,
	float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)),
}

func (m *rowMaker) row() []float32 {
	row := make([]float32, m.columns)
	plain := m.r.IntN(2) == 0
	for c := range row {
		at := m.thresholds[int32(c)]
		switch k := m.r.IntN(8); {
		case !plain && k == 0:
			row[c] = odd[m.r.IntN(len(odd))]
		case k < 6 && len(at) > 0:
			row[c] = float32(at[m.r.IntN(len(at))])
			for range m.r.IntN(3) {
				row[c] = math.Nextafter32(row[c], float32(math.Inf(1-2*m.r.IntN(2))))
			}
		default:
			row[c] = float32(m.r.IntN(2000) - 1)
		}
	}
	return row
}

// walkAll adds up the leaves that a row reaches, node by node.
func walkAll(e *lightgbm.Ensemble, row []float32) []float64 {
	raw := make([]float64, e.Groups)
	for i := range e.Trees {
		t, n := &e.Trees[i], int32(0)
		if len(t.Feature) == 0 {
			n = ^0
		}
		for n >= 0 {
			if t.GoesLeft(n, float64(row[t.Feature[n]])) {
				n = t.Left[n]
			} else {
				n = t.Right[n]
			}
		}
		raw[i%e.Groups] += t.Leaf[^n]
	}
	return raw
}

// same compares a compiled ensemble with the walk and with leaves, bit for bit.
func same(t *testing.T, e *lightgbm.Ensemble, rows int, seed uint64) {
	t.Helper()
	s := scorerOf(t, New(e))
	reference, err := leaves.New(e)
	if err != nil {
		t.Fatal(err)
	}
	r := scorerOf(t, reference)
	got, want := make([]float32, e.Classes), make([]float32, e.Classes)
	maker := newRowMaker(e, seed)
	for range rows {
		row := maker.row()
		s.(*scorer).evaluate(row)
		for k, v := range walkAll(e, row) {
			if raw := s.(*scorer).raw[k]; raw != v {
				t.Fatalf("row %v: group %d: %v, a walk gives %v", row, k, raw, v)
			}
		}
		if err := s.Score(got, row, 1); err != nil {
			t.Fatal(err)
		}
		if err := r.Score(want, row, 1); err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if got[k] != want[k] {
				t.Fatalf("row %v: class %d: %v, leaves says %v", row, k, got[k], want[k])
			}
		}
	}
}

func scorerOf(t testing.TB, m model.Model) model.Scorer {
	t.Helper()
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLikeLeaves(t *testing.T) {
	for path, e := range texts(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			same(t, e, 300, 1)
		})
	}
}

func TestGoldenRows(t *testing.T) {
	for path, e := range texts(t) {
		golden, err := os.ReadFile(path + ".golden.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := model.CheckGolden(New(e), bytes.NewReader(golden), 1e-5); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestRandomForests(t *testing.T) {
	for seed := range uint64(200) {
		same(t, randomEnsemble(seed), 40, seed)
	}
}

// FuzzForest compares random forests on random rows.
func FuzzForest(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { same(t, randomEnsemble(seed), 40, seed) })
}

// randomEnsemble has trees of all sizes and kinds of missing values; in some,
// those of an iteration differ in their leaves alone.
func randomEnsemble(seed uint64) *lightgbm.Ensemble {
	r := rand.New(rand.NewPCG(seed, 2))
	e := &lightgbm.Ensemble{Classes: 2 + r.IntN(4), Columns: make([]string, 1+r.IntN(12))}
	e.Groups = e.Classes
	if e.Classes == 2 && r.IntN(2) == 0 {
		e.Groups = 1
	}
	most := []int{1, 2, 8, 32, 33, 100}[r.IntN(6)]
	missing := [][]int{{0}, {0, 1, 2}, {0, 2}}[r.IntN(3)]
	some := r.IntN(2) == 0
	for range 1 + r.IntN(6) {
		alike := some && r.IntN(3) == 0
		first := randomTree(r, 1+r.IntN(most), len(e.Columns), missing)
		for k := range e.Groups {
			tree := first
			if k > 0 && !alike {
				tree = randomTree(r, 1+r.IntN(most), len(e.Columns), missing)
			} else if k > 0 {
				tree.Leaf = randomLeaves(r, len(first.Leaf))
			}
			e.Trees = append(e.Trees, tree)
		}
	}
	return e
}

func randomLeaves(r *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64() / 10
	}
	return values
}

// randomTree grows a tree by splitting leaves at random, numbered as LightGBM
// does: the new node takes the place of the leaf it splits.
func randomTree(r *rand.Rand, leaves, columns int, missing []int) lightgbm.Tree {
	t := lightgbm.Tree{Leaf: randomLeaves(r, leaves)}
	for node := range int32(leaves - 1) {
		split := int32(0)
		if node > 0 {
			split = r.Int32N(node + 1)
			for i := range t.Left {
				if t.Left[i] == ^split {
					t.Left[i] = node
				} else if t.Right[i] == ^split {
					t.Right[i] = node
				}
			}
		}
		threshold := float64(r.IntN(6)) - 1.5
		switch r.IntN(4) {
		case 0:
			threshold = r.NormFloat64() * 10 // that is no float32
		case 1:
			threshold = []float64{0, 1e-35, -1e-35, 1e300, -1e300, math.MaxFloat32, 1e-300}[r.IntN(7)]
		}
		t.Feature = append(t.Feature, r.Int32N(int32(columns)))
		t.Threshold = append(t.Threshold, threshold)
		t.Decision = append(t.Decision, uint8(missing[r.IntN(len(missing))]<<2|r.IntN(2)<<1))
		t.Left = append(t.Left, ^split)
		t.Right = append(t.Right, ^(node + 1))
	}
	return t
}

func TestScore(t *testing.T) {
	e := texts(t)["../lightgbm/testdata/multiclass.txt"]
	m := New(e)
	if m.Classes() != 3 || strings.Join(m.Columns(), " ") != "c0 c1 c2 c3 c4 c5" {
		t.Errorf("%d classes, columns %v", m.Classes(), m.Columns())
	}
	m.Columns()[0] = "other"
	if m.Columns()[0] != "c0" {
		t.Error("columns can be changed")
	}
	const n = 50
	rows, maker := []float32(nil), newRowMaker(e, 3)
	for range n {
		rows = append(rows, maker.row()...)
	}
	s := scorerOf(t, m)
	want := make([]float32, n*3)
	for i := range n {
		if err := s.Score(want[i*3:][:3], rows[i*6:][:6], 1); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		s := scorerOf(t, m)
		wg.Go(func() {
			got := make([]float32, n*3)
			for range 20 {
				if err := s.Score(got, rows, n); err != nil || !bytes.Equal(bytesOf(got), bytesOf(want)) {
					t.Errorf("rows at once, by several goroutines: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if allocs := testing.AllocsPerRun(100, func() { s.Score(want, rows, n) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	for _, wrong := range []struct{ probs, rows, n int }{{3, 5, 1}, {3, 7, 1}, {2, 6, 1}, {4, 6, 1}, {3, 6, 2}, {3, 6, -1}, {0, 0, 1}} {
		if err := s.Score(make([]float32, wrong.probs), make([]float32, wrong.rows), wrong.n); err == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}

func bytesOf(values []float32) (b []byte) {
	for _, v := range values {
		u := math.Float32bits(v)
		b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	return b
}

// TestAlikeTreesAreWalkedOnce sees that a decision tree costs one walk, and its
// neighbour of the next iteration, which is no such tree, none.
func TestAlikeTreesAreWalkedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	e := &lightgbm.Ensemble{Classes: 3, Groups: 3, Columns: make([]string, 4)}
	alike := randomTree(r, 20, 4, []int{0})
	for range 3 {
		alike.Leaf = randomLeaves(r, 20)
		e.Trees = append(e.Trees, alike)
	}
	for range 3 {
		e.Trees = append(e.Trees, randomTree(r, 20, 4, []int{0}))
	}
	f := compile(e)
	if len(f.traversed) != 1 || f.traversed[0].trees != 3 || len(f.masks) != 3*19 {
		t.Errorf("%d walks, %d clearings", len(f.traversed), len(f.masks))
	}
	same(t, e, 100, 1)
}
