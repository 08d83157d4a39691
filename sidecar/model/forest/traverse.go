package forest

import "serveflow/sidecar/model/lightgbm"

// node of a tree that is traversed. Children are counted from the tree's first
// node; a negative child is the leaf with the number ^child.
type node struct {
	threshold   float32
	column      uint16
	flags       uint16
	left, right int32
}

// What a node does with missing values.
const (
	nanLeft uint16 = 1 << iota
	zeroIsMissing
	zeroLeft
)

// traversed is a tree that is traversed once for itself and for the adjacent trees
// that differ from it only in their leaf values.
type traversed struct {
	root  uint32
	tree  uint32 // the first
	trees uint32
}

// traverse finds the exit leaves of the traversed trees.
func (s *scorer) traverse(row []float32) {
	for i := range s.traversed {
		w := &s.traversed[i]
		leaf := s.descend(s.nodes[w.root:], row)
		for t := w.tree; t < w.tree+w.trees; t++ {
			s.leafBase[t] = s.firstLeaf[t] + leaf
		}
	}
}

func (s *scorer) descend(tree []node, row []float32) uint32 {
	at := int32(0)
	for at >= 0 {
		n := &tree[at]
		x := row[n.column]
		left := x <= n.threshold
		switch {
		case x != x:
			left = n.flags&nanLeft != 0
		case n.flags&zeroIsMissing != 0 && lightgbm.IsZero(float64(x)):
			left = n.flags&zeroLeft != 0
		}
		at = n.right
		if left {
			at = n.left
		}
	}
	return uint32(^at)
}
