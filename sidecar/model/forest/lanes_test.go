package forest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/lightgbm"
)

// sameAtOnce compares rows that are scored at once, in batches of several sizes, sixteen
// at a time where the processor can and eight, with the same rows one by one. Every other
// batch has values that are not numbers.
func sameAtOnce(t *testing.T, e *lightgbm.Ensemble, seed uint64) {
	t.Helper()
	eight := compile(e)
	eight.wide = nil
	alone, maker := scorerOf(t, New(e)), newRowMaker(e, seed)
	for _, s := range []model.Scorer{scorerOf(t, New(e)), scorerOf(t, eight)} {
		sameAsAlone(t, e, s, alone, maker)
	}
}

func sameAsAlone(t *testing.T, e *lightgbm.Ensemble, s, alone model.Scorer, maker *rowMaker) {
	t.Helper()
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 33} {
		for _, numbers := range []bool{true, false} {
			var rows []float32
			for range n {
				row := maker.row()
				for c, v := range row {
					if v != v && numbers {
						row[c] = 0
					}
				}
				rows = append(rows, row...)
			}
			got, want := make([]float32, n*e.Classes), make([]float32, n*e.Classes)
			if err := s.Score(got, rows, n); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := alone.Score(want[i*e.Classes:][:e.Classes], rows[i*maker.columns:][:maker.columns], 1); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d rows %v at once: %v, one by one %v", n, rows, got, want)
			}
		}
	}
}

func TestAtOnce(t *testing.T) {
	for path, e := range texts(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			sameAtOnce(t, e, 1)
		})
	}
	withLanes, withWide := 0, 0
	for seed := range uint64(200) {
		e := randomEnsemble(seed)
		if f := compile(e); f.wide != nil {
			withWide++
		} else if f.lanes != nil {
			withLanes++
		}
		sameAtOnce(t, e, seed)
	}
	if vector && withLanes+withWide < 50 || wider && withWide < 10 {
		t.Errorf("only %d random ensembles have lanes alone, %d are wide", withLanes, withWide)
	}
}

// FuzzAtOnce compares random forests on random rows, several at once.
func FuzzAtOnce(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { sameAtOnce(t, randomEnsemble(seed), seed) })
}

// TestShippedModelsHaveLanes sees that the models of the bundles that ship are scored
// eight rows at a time, or sixteen.
func TestShippedModelsHaveLanes(t *testing.T) {
	if !vector {
		t.Skip("this processor has no AVX2")
	}
	seen := 0
	for path, e := range texts(t) {
		if strings.HasPrefix(path, "../../../models/") && len(e.Trees) > e.Groups {
			seen++
			if f := compile(e); f.lanes == nil || wider && f.wide == nil {
				t.Errorf("%s has lanes %v, wide %v", path, f.lanes != nil, f.wide != nil)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d models", seen)
	}
}

func TestScoringAtOnceDoesNotAllocate(t *testing.T) {
	e := texts(t)["../../../models/iot-device/small1.txt"]
	s, maker := scorerOf(t, New(e)), newRowMaker(e, 1)
	for _, n := range []int{fewestLanes, laneRows, wideRows, 2*wideRows + 1} {
		rows, probs := make([]float32, 0, n*maker.columns), make([]float32, n*e.Classes)
		for range n {
			rows = append(rows, maker.row()...)
		}
		if allocs := testing.AllocsPerRun(50, func() { s.Score(probs, rows, n) }); allocs != 0 {
			t.Errorf("%d rows: %v allocations", n, allocs)
		}
	}
}

// TestSoftmax compares probabilities of four rows at once with those of one, bit by bit.
func TestSoftmax(t *testing.T) {
	if !vector {
		t.Skip("this processor has no AVX2")
	}
	r := rand.New(rand.NewPCG(1, 1))
	far := 0
	for round := range 20000 {
		classes, stride := 2+r.IntN(40), 4+r.IntN(13)
		e := &lightgbm.Ensemble{Groups: classes, Classes: classes}
		raw, rows := make([]float64, classes*stride), [4][]float64{}
		for i := range rows {
			scale := []float64{1, 10, 60, 699, 2000}[round%5]
			for k := range classes {
				rows[i] = append(rows[i], (r.Float64()-.5)*scale)
				raw[k*stride+i] = rows[i][k]
			}
		}
		got, want := make([]float32, 4*classes), make([]float32, 4*classes)
		if softmax4(&raw[0], 8*stride, classes, &got[0], classes) != 0 {
			far++
			continue
		}
		for i := range rows {
			e.Probabilities(want[i*classes:(i+1)*classes], rows[i])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v: %v at once, %v one by one", rows, got, want)
		}
	}
	if far == 0 || far > 4000 {
		t.Errorf("%d of 20000 were too far apart", far)
	}
}
