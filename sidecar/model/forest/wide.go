package forest

import (
	"math"
	"math/bits"
	"unsafe"

	"serveflow/sidecar/model/lightgbm"
)

// wide is an ensemble laid out for sixteen rows at once, with AVX-512. Every test of a
// column with a threshold is made once, for there are few different ones among the nodes
// of all trees; its result is a bit for each row. Then the nodes are read tree by tree.
// The leaves that the rows can reach are a bitvector each, in one register, with the first
// leaf in its highest bit, and the leaf of each row is looked up in the leaves of the
// tree, which fit into registers too. The trees stand class by class, those of a class in
// the order of the text.
type wide struct {
	tests  []wideTest
	nodes  []wideNode // an even number of each tree
	pairs  []uint32   // of nodes, of each tree
	leaves []float64  // leafCount of each tree
	// leafCount is 16 or 32: trees of fewer leaves are filled up.
	leafCount int
}

// wideTest is whether a column of a row is above a threshold.
type wideTest struct {
	threshold float32
	column    uint32 // where its values begin, in bytes
}

// wideNode is a node as the assembly reads it.
type wideNode struct {
	test uint32 // where its result is, in bytes
	keep uint32 // the leaves that a row can reach that passes the test
}

const (
	wideRows  = 16
	testsStep = 4 // tests that are made in a turn of the loop
)

// compileWide returns nil where compileLanes does, or if sixteen rows cannot be scored
// at once.
func (f *forest) compileWide() *wide {
	if f.lanes == nil || !wider || len(f.Ensemble.Columns) < 8 {
		return nil
	}
	w := &wide{leafCount: 16}
	nodes := make([][]wideNode, len(f.Trees))
	for i := range f.columns {
		f.addTests(w, nodes, &f.columns[i])
	}
	for len(w.tests)%testsStep != 0 {
		w.tests = append(w.tests, wideTest{threshold: float32(math.Inf(1))})
	}
	for i := range f.Trees {
		if len(f.Trees[i].Leaf) > w.leafCount {
			w.leafCount = 32
		}
	}
	for k := range f.Groups {
		for t := k; t < len(f.Trees); t += f.Groups {
			w.addTree(nodes[t], f.leaves[f.firstLeaf[t]:][:len(f.Trees[t].Leaf)])
		}
	}
	return w
}

// addTests adds the tests of a column, and their nodes to those of each tree.
func (f *forest) addTests(w *wide, nodes [][]wideNode, c *column) {
	value, higher := c.lowest, f.thresholds[c.firstThreshold:][:c.thresholds]
	column := c.index * uint32(unsafe.Sizeof(float32(0))) * wideRows
	w.tests = append(w.tests, wideTest{value, column})
	for i := c.firstMask; i < c.endMask; i++ {
		if len(higher) > 0 && i == higher[0].firstMask {
			value, higher = higher[0].value, higher[1:]
			w.tests = append(w.tests, wideTest{value, column})
		}
		tree := f.masks[i] % lightgbm.MaxTrees
		test := uint32(len(w.tests)-1) * uint32(unsafe.Sizeof(uint16(0)))
		nodes[tree] = append(nodes[tree], wideNode{test, ^bits.Reverse32(uint32(f.masks[i] >> 32))})
	}
}

// addTree adds a tree. A node that keeps all leaves fills up a pair.
func (w *wide) addTree(nodes []wideNode, leaves []float64) {
	for len(nodes) == 0 || len(nodes)%2 != 0 {
		nodes = append(nodes, wideNode{keep: ^uint32(0)})
	}
	w.nodes = append(w.nodes, nodes...)
	w.pairs = append(w.pairs, uint32(len(nodes)/2))
	end := len(w.leaves) + w.leafCount
	w.leaves = append(w.leaves, leaves...)
	for len(w.leaves) < end {
		w.leaves = append(w.leaves, 0)
	}
}

// wideScratch is what a scorer needs for sixteen rows at once.
type wideScratch struct {
	columns []float32 // wideRows of each
	passed  []uint16  // of each test, a bit for each row
}

func (f *forest) newWideScratch() wideScratch {
	return wideScratch{columns: make([]float32, wideRows*len(f.Ensemble.Columns)), passed: make([]uint16, len(f.wide.tests))}
}

// evaluateWide finds the raw scores of up to sixteen rows, in place of evaluateLanes.
func (s *scorer) evaluateWide(rows []float32, n int) bool {
	w, x := s.wide, &s.wideScratch
	for from := 0; from < n; from += 8 {
		var eight [8]*float32
		for i := range eight {
			eight[i] = &rows[min(from+i, n-1)*s.width]
		}
		if transpose8(&eight, s.width, &x.columns[from]) != 0 {
			return false
		}
	}
	score := score16
	if w.leafCount == 32 {
		score = score32
	}
	score(&w.tests[0], len(w.tests), &x.columns[0], &x.passed[0], &w.nodes[0], &w.pairs[0], &w.leaves[0],
		len(w.pairs)/s.Groups, s.Groups, &s.batch.raw[0])
	return true
}
