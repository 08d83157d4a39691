package leaves

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkScore measures one row through a model of the size that a slow
// stage has: 100 rounds of 19 trees with 31 leaves on 400 features.
func BenchmarkScore(b *testing.B) {
	for _, size := range []struct{ rounds, classes, leaves, features int }{
		{1, 19, 31, 60}, {100, 19, 31, 400},
	} {
		b.Run(fmt.Sprintf("rounds=%d,classes=%d,leaves=%d", size.rounds, size.classes, size.leaves), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			e := &ensemble{classes: size.classes, groups: size.classes, names: make([]string, size.features)}
			for range size.rounds * size.classes {
				e.trees = append(e.trees, randomTree(r, size.leaves, size.features))
			}
			trees, err := build(e)
			if err != nil {
				b.Fatal(err)
			}
			m := &gbdt{trees: trees, columns: e.names, classes: e.classes, groups: e.groups}
			s, err := m.NewScorer()
			if err != nil {
				b.Fatal(err)
			}
			const n = 64
			rows := randomRows(r, n*size.features)
			probs := make([]float32, size.classes)
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % n {
				if err := s.Score(probs, rows[i*size.features:(i+1)*size.features], 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// randomTree grows a tree by splitting leaves at random, numbered as LightGBM
// does: the new node takes the place of the leaf it splits.
func randomTree(r *rand.Rand, leaves, features int) tree {
	t := tree{leaf: make([]float64, leaves)}
	for i := range t.leaf {
		t.leaf[i] = r.NormFloat64() / 10
	}
	for node := range int32(leaves - 1) {
		split := int32(0)
		if node > 0 {
			split = r.Int32N(node + 1) // the leaf to split: 0 to node
			for i := range t.left {
				if t.left[i] == ^split {
					t.left[i] = node
				} else if t.right[i] == ^split {
					t.right[i] = node
				}
			}
		}
		t.feature = append(t.feature, r.Int32N(int32(features)))
		t.threshold = append(t.threshold, float64(r.IntN(6))+0.5)
		t.decision = append(t.decision, 2)
		t.left = append(t.left, ^split)
		t.right = append(t.right, ^(node + 1))
	}
	return t
}
