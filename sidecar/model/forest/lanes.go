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
	first   []uint32 // where the leaves of each tree begin, in bytes
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
	l := &lanes{}
	for k := range f.Groups {
		for t := k; t < len(f.firstLeaf); t += f.Groups {
			l.first = append(l.first, f.firstLeaf[t]*uint32(unsafe.Sizeof(f.leaves[0])))
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

// batch is what a scorer needs for eight rows at once.
type batch struct {
	reachable [][laneRows]uint32  // of each tree, the leaves that each row can reach
	raw       [][laneRows]float64 // of each class
	rows      []float32           // fewer than eight, and copies of the last
}

func (f *forest) newBatch() batch {
	return batch{
		reachable: make([][laneRows]uint32, len(f.lanes.first)),
		raw:       make([][laneRows]float64, f.Groups),
		rows:      make([]float32, laneRows*len(f.Ensemble.Columns)),
	}
}

// BatchSize implements model.Batched.
func (s *scorer) BatchSize() int {
	if s.lanes == nil {
		return 1
	}
	return laneRows
}

// evaluateBatch finds the raw scores of up to eight rows. It returns false if a value
// is NaN: nodes send it where each of them says, and rows are scored one by one.
func (s *scorer) evaluateBatch(rows []float32, n int) bool {
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
	clear(b.raw)
	sum8(&b.reachable[0], &l.first[0], &s.leaves[0], len(b.reachable)/s.Groups, s.Groups, &b.raw[0])
	return true
}
