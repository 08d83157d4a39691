package lightgbm

import (
	"strconv"
	"strings"
)

// Text writes the ensemble in version v3 of the text, with no more than what a
// reader needs to evaluate it. Numbers are written so that they read back
// exactly.
func (e *Ensemble) Text() []byte {
	var b []byte
	b = append(b, "tree\nversion=v3\n"...)
	b = field(b, "num_class", int64(e.Groups))
	b = field(b, "num_tree_per_iteration", int64(e.Groups))
	b = field(b, "max_feature_idx", int64(len(e.Columns)-1))
	// Readers count trees by the words of tree_sizes, and some read no more
	// than that into them.
	b = append(b, "tree_sizes=0"...)
	b = append(b, strings.Repeat(" 0", len(e.Trees)-1)...)
	b = append(b, "\n\n"...)
	for i := range e.Trees {
		b = e.Trees[i].append(b, i)
	}
	return b
}

func (t *Tree) append(b []byte, i int) []byte {
	b = field(b, "Tree", int64(i))
	b = field(b, "num_leaves", int64(len(t.Leaf)))
	b = append(b, "num_cat=0\n"...)
	if len(t.Feature) > 0 {
		b = array(b, "split_feature", t.Feature, integer[int32])
		b = array(b, "threshold", t.Threshold, float)
		b = array(b, "decision_type", t.Decision, integer[uint8])
		b = array(b, "left_child", t.Left, integer[int32])
		b = array(b, "right_child", t.Right, integer[int32])
	}
	b = array(b, "leaf_value", t.Leaf, float)
	return append(b, '\n')
}

func field(b []byte, name string, v int64) []byte {
	b = append(b, name...)
	b = append(b, '=')
	b = strconv.AppendInt(b, v, 10)
	return append(b, '\n')
}

func array[T any](b []byte, name string, values []T, one func([]byte, T) []byte) []byte {
	b = append(b, name...)
	for i, v := range values {
		if i == 0 {
			b = append(b, '=')
		} else {
			b = append(b, ' ')
		}
		b = one(b, v)
	}
	return append(b, '\n')
}

func integer[T int32 | uint8](b []byte, v T) []byte { return strconv.AppendInt(b, int64(v), 10) }

func float(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }
