package lightgbm

import (
	"math"
	"strconv"
	"strings"
)

// A node's decision_type has 4 bits: bit 0 is set for a categorical split, bit 1 if
// a missing value goes left; bits 2 and 3 are what counts as missing (0 nothing, 1
// zero, 2 NaN).
const (
	categoricalSplit = 1
	defaultLeft      = 2
	missingShift     = 2
	decisionMax      = 15

	zeroIsMissing = 1
	nanIsMissing  = 2
)

// IsZero reports whether a value counts as zero, if zero is what counts as missing.
func IsZero(v float64) bool { return v > -1e-35 && v <= 1e-35 }

// GoesLeft reports whether node n sends a value left. If NaN is not what counts as
// missing, it counts as zero.
func (t *Tree) GoesLeft(n int32, v float64) bool {
	missing := t.Decision[n] >> missingShift
	if math.IsNaN(v) && missing != nanIsMissing {
		v = 0
	}
	if missing == zeroIsMissing && IsZero(v) || missing == nanIsMissing && math.IsNaN(v) {
		return t.Decision[n]&defaultLeft != 0
	}
	return v <= t.Threshold[n]
}

// ZeroIsMissing reports whether node n takes zero for a missing value.
func (t *Tree) ZeroIsMissing(n int32) bool { return t.Decision[n]>>missingShift == zeroIsMissing }

// parseTree reads and checks the section of tree number i of a model with the
// given number of features.
func parseTree(f fields, i, features int) (Tree, error) {
	var t Tree
	leaves, err := f.integer(i, "num_leaves", 1, MaxLeaves)
	if err != nil {
		return t, err
	}
	if v := f["num_cat"]; v != "0" {
		return t, treeError(i, "num_cat", "%q: categorical splits are not served, encode such features as numbers", clip(v))
	}
	// Texts of versions before linear trees do not have the field.
	if v, found := f["is_linear"]; found && v != "0" {
		return t, treeError(i, "is_linear", "%q: linear trees are not served, train with linear_tree=false", clip(v))
	}
	if t.Leaf, err = f.floats(i, "leaf_value", leaves, maxLeafValue); err != nil {
		return t, err
	}
	nodes := leaves - 1
	if nodes == 0 {
		return t, nil
	}
	if t.Feature, err = f.integers(i, "split_feature", nodes, 0, features-1); err != nil {
		return t, err
	}
	if t.Threshold, err = f.floats(i, "threshold", nodes, math.MaxFloat64); err != nil {
		return t, err
	}
	if t.Left, err = f.integers(i, "left_child", nodes, -leaves, nodes-1); err != nil {
		return t, err
	}
	if t.Right, err = f.integers(i, "right_child", nodes, -leaves, nodes-1); err != nil {
		return t, err
	}
	if t.Decision, err = f.decisions(i, nodes); err != nil {
		return t, err
	}
	return t, t.checkShape(i)
}

// decisions reads decision_type.
func (f fields) decisions(tree, want int) ([]uint8, error) {
	const field = "decision_type"
	values, err := f.integers(tree, field, want, 0, decisionMax)
	if err != nil {
		return nil, err
	}
	out := make([]uint8, want)
	for node, v := range values {
		if v&categoricalSplit != 0 {
			return nil, treeError(tree, field, "node %d: categorical splits are not served, encode such features as numbers", node)
		}
		if v>>missingShift == 3 {
			return nil, treeError(tree, field, "node %d: %d names no kind of missing value", node, v)
		}
		out[node] = uint8(v)
	}
	return out, nil
}

// checkShape visits the tree from its root and verifies that every node and every
// leaf is reached exactly once: then there is no cycle, and evaluation ends. The
// indexes were checked before.
func (t *Tree) checkShape(i int) error {
	seenNode := make([]bool, len(t.Feature))
	seenLeaf := make([]bool, len(t.Leaf))
	seenNode[0] = true
	reached := 1
	stack := []int32{0}
	for len(stack) > 0 {
		node := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, side := range []struct {
			field string
			child int32
		}{{"left_child", t.Left[node]}, {"right_child", t.Right[node]}} {
			seen, index := seenNode, side.child
			if index < 0 {
				seen, index = seenLeaf, ^index
			}
			if seen[index] {
				return treeError(i, side.field, "node %d: child %d is reached a second time", node, side.child)
			}
			seen[index] = true
			reached++
			if side.child >= 0 {
				stack = append(stack, side.child)
			}
		}
	}
	if reached != len(seenNode)+len(seenLeaf) {
		return treeError(i, "left_child", "%d of %d nodes and leaves cannot be reached from the root",
			len(seenNode)+len(seenLeaf)-reached, len(seenNode)+len(seenLeaf))
	}
	return nil
}

// integers reads a field of exactly want integers of [low, high].
func (f fields) integers(tree int, name string, want, low, high int) ([]int32, error) {
	value, err := f.array(tree, name, want)
	if err != nil {
		return nil, err
	}
	out := make([]int32, 0, want)
	for word := range strings.SplitSeq(value, " ") {
		n, err := strconv.Atoi(word)
		if err != nil || n < low || n > high {
			return nil, treeError(tree, name, "value %d (%q) is not an integer from %d to %d", len(out), clip(word), low, high)
		}
		out = append(out, int32(n))
	}
	return out, nil
}

// floats reads a field of exactly want finite numbers of a magnitude up to
// limit.
func (f fields) floats(tree int, name string, want int, limit float64) ([]float64, error) {
	value, err := f.array(tree, name, want)
	if err != nil {
		return nil, err
	}
	out := make([]float64, 0, want)
	for word := range strings.SplitSeq(value, " ") {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > limit {
			return nil, treeError(tree, name, "value %d (%q) is not a finite number up to %g", len(out), clip(word), limit)
		}
		out = append(out, v)
	}
	return out, nil
}

// array returns a field that holds exactly want words. They are counted before
// anything is allocated for them.
func (f fields) array(tree int, name string, want int) (string, error) {
	value, found := f[name]
	if !found {
		return "", treeError(tree, name, "missing")
	}
	have := 1 + strings.Count(value, " ")
	if value == "" {
		have = 0
	}
	if have != want {
		return "", treeError(tree, name, "%d values, num_leaves asks for %d", have, want)
	}
	return value, nil
}
