package forest

import (
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/model/lightgbm"
)

// sameAtOnce compares rows that are scored at once, in batches of all sizes, with
// the same rows one by one. Every other batch has values that are not numbers.
func sameAtOnce(t *testing.T, e *lightgbm.Ensemble, seed uint64) {
	t.Helper()
	s, alone, maker := scorerOf(t, New(e)), scorerOf(t, New(e)), newRowMaker(e, seed)
	for n := range 2*laneRows + 2 {
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
	withLanes := 0
	for seed := range uint64(200) {
		e := randomEnsemble(seed)
		if compile(e).lanes != nil {
			withLanes++
		}
		sameAtOnce(t, e, seed)
	}
	if vector && withLanes < 50 {
		t.Errorf("only %d random ensembles have lanes", withLanes)
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
// eight rows at a time.
func TestShippedModelsHaveLanes(t *testing.T) {
	if !vector {
		t.Skip("this processor has no AVX2")
	}
	seen := 0
	for path, e := range texts(t) {
		if strings.HasPrefix(path, "../../../models/") && len(e.Trees) > e.Groups {
			if seen++; compile(e).lanes == nil {
				t.Errorf("%s has no lanes", path)
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
	for _, n := range []int{fewestLanes, laneRows, 2*laneRows + 1} {
		rows, probs := make([]float32, 0, n*maker.columns), make([]float32, n*e.Classes)
		for range n {
			rows = append(rows, maker.row()...)
		}
		if allocs := testing.AllocsPerRun(50, func() { s.Score(probs, rows, n) }); allocs != 0 {
			t.Errorf("%d rows: %v allocations", n, allocs)
		}
	}
}
