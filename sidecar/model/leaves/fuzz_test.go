package leaves

import (
	"math"
	"math/rand/v2"
	"testing"
)

// FuzzLoad looks for a text that Load accepts and that then panics, never
// ends, gives no probabilities, or is evaluated otherwise than a plain walk
// over the parsed nodes says.
func FuzzLoad(f *testing.F) {
	for _, test := range models {
		f.Add(read(f, test.name+".txt"), uint8(test.classes), uint64(1))
	}
	f.Add([]byte("tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=binary sigmoid:1\n"+
		"feature_names=a\ntree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0\ndecision_type=8\n"+
		"left_child=-1\nright_child=-2\nleaf_value=-1 1\n\nend of trees\n"), uint8(2), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, classes uint8, seed uint64) {
		m, err := Load(data, Options{Classes: int(classes)})
		if err != nil {
			return
		}
		e, err := parse(data)
		if err != nil {
			t.Fatal("loaded, but does not parse:", err)
		}
		s, err := m.NewScorer()
		if err != nil {
			t.Fatal(err)
		}
		rows := randomRows(rand.New(rand.NewPCG(seed, 0)), len(m.Columns()))
		probs := make([]float32, classes)
		if err := s.Score(probs, rows, 1); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for k, want := range e.walk(rows) {
			sum += float64(probs[k])
			if d := math.Abs(float64(probs[k]) - want); !(d < 1e-6) {
				t.Fatalf("class %d: probability %g, a walk gives %g", k, probs[k], want)
			}
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Fatalf("probabilities sum to %g", sum)
		}
	})
}

// walk evaluates the parsed trees node by node: an oracle for the evaluator.
func (e *ensemble) walk(row []float32) []float64 {
	raw := make([]float64, e.groups)
	for i := range e.trees {
		raw[i%e.groups] += e.trees[i].walk(row)
	}
	if e.groups == 1 {
		p := 1 / (1 + math.Exp(-raw[0]))
		return []float64{1 - p, p}
	}
	top, sum := math.Inf(-1), 0.0
	for _, v := range raw {
		top = max(top, v)
	}
	for _, v := range raw {
		sum += math.Exp(v - top)
	}
	for k, v := range raw {
		raw[k] = math.Exp(v-top) / sum
	}
	return raw
}

func (t *tree) walk(row []float32) float64 {
	const defaultLeft, zeroIsMissing = 2, 1
	if len(t.feature) == 0 {
		return t.leaf[0]
	}
	node := int32(0)
	for node >= 0 {
		v := float64(row[t.feature[node]])
		left := v <= t.threshold[node]
		if t.decision[node]>>missingShift == zeroIsMissing && v == 0 {
			left = t.decision[node]&defaultLeft != 0
		}
		if left {
			node = t.left[node]
		} else {
			node = t.right[node]
		}
	}
	return t.leaf[^node]
}
