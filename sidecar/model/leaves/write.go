package leaves

import (
	"strconv"
	"strings"
)

// text writes the ensemble in version v3 of the text, with only the fields
// that the evaluator reads. Numbers are written so that they read back
// exactly.
func (e *ensemble) text() []byte {
	var b []byte
	b = append(b, "tree\nversion=v3\n"...)
	b = field(b, "num_class", int64(e.groups))
	b = field(b, "num_tree_per_iteration", int64(e.groups))
	b = field(b, "max_feature_idx", int64(len(e.names)-1))
	// The evaluator counts trees by the words of tree_sizes and reads no
	// more than that into them.
	b = append(b, "tree_sizes=0"...)
	b = append(b, strings.Repeat(" 0", len(e.trees)-1)...)
	b = append(b, "\n\n"...)
	for i := range e.trees {
		b = e.trees[i].append(b, i)
	}
	return b
}

func (t *tree) append(b []byte, i int) []byte {
	b = field(b, "Tree", int64(i))
	b = field(b, "num_leaves", int64(len(t.leaf)))
	b = append(b, "num_cat=0\n"...)
	if len(t.feature) > 0 {
		b = array(b, "split_feature", t.feature, integer[int32])
		b = array(b, "threshold", t.threshold, float)
		b = array(b, "decision_type", t.decision, integer[uint8])
		b = array(b, "left_child", t.left, integer[int32])
		b = array(b, "right_child", t.right, integer[int32])
	}
	b = array(b, "leaf_value", t.leaf, float)
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
