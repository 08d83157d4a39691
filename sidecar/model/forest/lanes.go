package forest

import (
	"math"
	"unsafe"

	"serveflow/sidecar/model/lightgbm"
)

// lanes is an ensemble laid out for eight rows at once, after V-QuickScorer
// (Lucchese et al., "Exploiting CPU SIMD Extensions to Speed-up Document Scoring with
// Tree Ensembles", SIGIR 2016): a threshold is compared with the values of eight rows,
// and the node's mask is applied to the bitvectors of those rows that it sends right.
// The trees stand class by class, those of a class in the order of the text.
type lanes struct {
	columns []laneColumn
	nodes   []laneNode
	leaves  []float64 // of all trees, so that they are read from the first to the last
	first   []uint32  // where the leaves of each tree begin, in bytes
}

// laneColumn is a column that nodes look at, as the assembly reads it.
type laneColumn struct {
	offset uint32  // in a row, in bytes
	lowest float32 // threshold
	nodes  uint32  // where its nodes begin, in bytes
	_      uint32
}

// laneNode is a node as the assembly reads it. A column's nodes stand in the order of
// their thresholds, and nodes that no value is above end them.
type laneNode struct {
	threshold float32
	tree      uint32 // where the bitvectors of its tree begin, in bytes
	mask      uint32 // the leaves that a row above the threshold cannot reach
}

const (
	laneRows    = 8
	fewestLanes = 2 // rows that are scored faster at once than one by one
	nodesStep   = 4 // nodes that are read before it is seen whether there may be more
	nodeSize    = uint32(unsafe.Sizeof(laneNode{}))
)

// compileLanes returns nil if rows have to be scored one by one: where the processor
// lacks the instructions, trees are traversed, zeros are missing, or no tree has a node.
func (f *forest) compileLanes() *lanes {
	if !vector || len(f.traversed) > 0 || len(f.zeroSplits) > 0 || len(f.columns) == 0 {
		return nil
	}
	l := &lanes{leaves: make([]float64, 0, len(f.leaves)), first: make([]uint32, 0, len(f.firstLeaf))}
	for k := range f.Groups {
		for t := k; t < len(f.firstLeaf); t += f.Groups {
			l.first = append(l.first, uint32(len(l.leaves))*uint32(unsafe.Sizeof(l.leaves[0])))
			l.leaves = append(l.leaves, f.leaves[f.firstLeaf[t]:][:len(f.Trees[t].Leaf)]...)
		}
	}
	for i := range f.columns {
		f.addLaneColumn(l, &f.columns[i])
	}
	return l
}

// addLaneColumn adds a column and its nodes.
func (f *forest) addLaneColumn(l *lanes, c *column) {
	l.columns = append(l.columns, laneColumn{offset: 4 * c.index, lowest: c.lowest, nodes: uint32(len(l.nodes)) * nodeSize})
	value, higher := c.lowest, f.thresholds[c.firstThreshold:][:c.thresholds]
	for i := c.firstMask; i < c.endMask; i++ {
		if len(higher) > 0 && i == higher[0].firstMask {
			value, higher = higher[0].value, higher[1:]
		}
		tree := int(f.masks[i] % lightgbm.MaxTrees)
		place := tree%f.Groups*(len(f.firstLeaf)/f.Groups) + tree/f.Groups
		l.nodes = append(l.nodes, laneNode{value, uint32(place) * 4 * laneRows, uint32(f.masks[i] >> 32)})
	}
	end := laneNode{threshold: float32(math.Inf(1))}
	l.nodes = append(l.nodes, end)
	for len(l.nodes)%nodesStep != 0 {
		l.nodes = append(l.nodes, end)
	}
}

// batch is what a scorer needs for several rows at once.
type batch struct {
	size      int                // rows at most
	reachable [][laneRows]uint32 // of each tree, the leaves that each row can reach
	raw       []float64          // of each class, size of them
	rows      []float32          // fewer than eight, and copies of the last
	probs     []float32          // of each row
}

func (f *forest) newBatch() batch {
	b := batch{size: laneRows}
	if f.wide != nil {
		b.size = wideRows
	} else {
		b.reachable = make([][laneRows]uint32, len(f.lanes.first))
		b.rows = make([]float32, laneRows*len(f.Ensemble.Columns))
	}
	b.raw, b.probs = make([]float64, b.size*f.Groups), make([]float32, b.size*f.Ensemble.Classes)
	return b
}

// BatchSize implements model.Batched.
func (s *scorer) BatchSize() int { return max(s.batch.size, 1) }

// scoreBatch scores up to so many rows. It returns false if a value is NaN: nodes send it
// where each of them says, and rows are scored one by one.
func (s *scorer) scoreBatch(probs, rows []float32, n int) bool {
	b, classes := &s.batch, s.Ensemble.Classes
	evaluate := s.evaluateLanes
	if s.wide != nil {
		evaluate = s.evaluateWide
	}
	if !evaluate(rows, n) {
		return false
	}
	for from := 0; from < n; from += 4 {
		if s.Groups > 1 && softmax4(&b.raw[from], 8*b.size, classes, &b.probs[from*classes], classes) == 0 {
			continue
		}
		for i := from; i < min(from+4, n); i++ {
			for k := range s.raw {
				s.raw[k] = b.raw[k*b.size+i]
			}
			s.Probabilities(b.probs[i*classes:(i+1)*classes], s.raw)
		}
	}
	copy(probs, b.probs[:n*classes])
	return true
}

// evaluateLanes finds the raw scores of up to eight rows, unless a value is NaN.
func (s *scorer) evaluateLanes(rows []float32, n int) bool {
	b, l := &s.batch, s.lanes
	if n < laneRows {
		copy(b.rows, rows)
		for i := n; i < laneRows; i++ {
			copy(b.rows[i*s.width:], rows[(n-1)*s.width:])
		}
		rows = b.rows
	}
	if scan8(unsafe.SliceData(l.columns), len(l.columns), unsafe.SliceData(l.nodes), &rows[0], 4*s.width, &b.reachable[0], len(b.reachable)) != 0 {
		return false
	}
	sum8(&b.reachable[0], &l.first[0], &l.leaves[0], len(b.reachable)/s.Groups, s.Groups, &b.raw[0])
	return true
}
