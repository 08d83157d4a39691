package forest

import (
	"cmp"
	"math"
	"slices"

	"serveflow/sidecar/model/lightgbm"
)

// split is a node while it is sorted within its column.
type split struct {
	mask
	threshold                        float32
	nanRight, zeroRight, zeroMissing bool
}

func compile(e *lightgbm.Ensemble) *forest {
	f := &forest{Ensemble: e, nanMasks: map[uint32][]mask{}, zeroSplits: map[uint32][]split{}}
	leaves := 0
	for i := range e.Trees {
		leaves += len(e.Trees[i].Leaf)
	}
	f.leaves = make([]float64, 0, leaves)
	splits := make([][]split, len(e.Columns)) // by column
	for i := 0; i < len(e.Trees); {
		n := sameShape(e.Trees[i:min(i+e.Groups, len(e.Trees))])
		traverse := len(e.Trees[i].Leaf) > maxLeaves || n > 1 && i%e.Groups == 0 && n == e.Groups
		if !traverse {
			f.addMasked(splits, i)
			i++
			continue
		}
		f.traversed = append(f.traversed, traversed{root: uint32(len(f.nodes)), tree: uint32(i), trees: uint32(n)})
		f.addTraversed(&e.Trees[i])
		for _, t := range e.Trees[i : i+n] {
			f.addLeaves(t.Leaf)
		}
		i += n
	}
	for i, nodes := range splits {
		if len(nodes) > 0 {
			f.addColumn(uint32(i), nodes)
		}
	}
	f.lanes = f.compileLanes()
	f.wide = f.compileWide()
	return f
}

// sameShape is how many of the first trees differ from the first only in their leaf
// values.
func sameShape(trees []lightgbm.Tree) int {
	first, n := &trees[0], 1
	for ; n < len(trees); n++ {
		t := &trees[n]
		if !slices.Equal(t.Feature, first.Feature) || !slices.Equal(t.Threshold, first.Threshold) ||
			!slices.Equal(t.Decision, first.Decision) || !slices.Equal(t.Left, first.Left) || !slices.Equal(t.Right, first.Right) {
			break
		}
	}
	return n
}

func (f *forest) addLeaves(values []float64) {
	f.firstLeaf = append(f.firstLeaf, uint32(len(f.leaves)))
	f.leaves = append(f.leaves, values...)
}

// addTraversed adds a tree that is traversed.
func (f *forest) addTraversed(t *lightgbm.Tree) {
	if len(t.Feature) == 0 {
		f.nodes = append(f.nodes, node{left: ^0, right: ^0})
		return
	}
	for n := range int32(len(t.Feature)) {
		out := node{threshold: floor(t.Threshold[n]), column: uint16(t.Feature[n]), left: t.Left[n], right: t.Right[n]}
		if t.GoesLeft(n, math.NaN()) {
			out.flags |= nanLeft
		}
		if t.ZeroIsMissing(n) {
			out.flags |= zeroIsMissing
		}
		if t.GoesLeft(n, 0) {
			out.flags |= zeroLeft
		}
		f.nodes = append(f.nodes, out)
	}
}

// addMasked adds tree i, which is evaluated by masks: its leaves from left to right,
// and its nodes to splits.
func (f *forest) addMasked(splits [][]split, i int) {
	t := &f.Trees[i]
	f.firstLeaf = append(f.firstLeaf, uint32(len(f.leaves)))
	if len(t.Feature) == 0 {
		f.leaves = append(f.leaves, t.Leaf[0])
		return
	}
	var visit func(n int32, leaf int) int // returns the number of the next leaf
	visit = func(n int32, leaf int) int {
		if n < 0 {
			f.leaves = append(f.leaves, t.Leaf[^n])
			return leaf + 1
		}
		middle := visit(t.Left[n], leaf)
		left := uint32(1)<<middle - uint32(1)<<leaf
		nodes := &splits[t.Feature[n]]
		*nodes = append(*nodes, split{
			mask: newMask(i, left), threshold: floor(t.Threshold[n]),
			nanRight: !t.GoesLeft(n, math.NaN()), zeroRight: !t.GoesLeft(n, 0), zeroMissing: t.ZeroIsMissing(n),
		})
		return visit(t.Right[n], middle)
	}
	visit(0, 0)
}

// floor is the largest float32 that is not above v: the same float32 values are
// above both.
func floor(v float64) float32 {
	f := float32(v)
	if float64(f) > v {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

// addColumn adds a column whose nodes are sorted by threshold, as applyMasks needs
// them.
func (f *forest) addColumn(index uint32, nodes []split) {
	slices.SortFunc(nodes, func(a, b split) int {
		if c := cmp.Compare(a.threshold, b.threshold); c != 0 {
			return c
		}
		return cmp.Compare(uint32(a.mask), uint32(b.mask)) // by tree; in any order there
	})
	c := column{index: index, lowest: nodes[0].threshold, firstMask: uint32(len(f.masks)), firstThreshold: uint32(len(f.thresholds))}
	for i, s := range nodes {
		if i > 0 && nodes[i-1].threshold != s.threshold {
			f.thresholds = append(f.thresholds, threshold{s.threshold, uint32(len(f.masks))})
			c.thresholds++
		}
		f.masks = append(f.masks, s.mask)
		c.zeroMissing = c.zeroMissing || s.zeroMissing
		if s.nanRight {
			f.nanMasks[index] = append(f.nanMasks[index], s.mask)
		}
	}
	c.endMask = uint32(len(f.masks))
	if c.zeroMissing {
		f.zeroSplits[index] = nodes
	}
	f.columns = append(f.columns, c)
}
