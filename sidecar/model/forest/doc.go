// Package forest evaluates LightGBM classifiers fast, one row at a time.
//
// Where a tree leads a row is found without walking it, as in QuickScorer
// (Lucchese et al., SIGIR 2015): a tree of up to 32 leaves has a set of the
// leaves that the row may still reach, in the order from left to right. Every
// node that sends the row to the right takes the leaves on its left out of the
// set; whichever nodes those are and in whatever order, the first leaf that is
// left is the row's. So the nodes of all trees can be sorted by the column that
// they look at and then by threshold, and a value is compared once for all
// nodes of its column: up to some place in that order every node sends it right,
// from there on none does. Their sets lie side by side in memory, there is no
// branch for a node, and nodes that send a row left cost nothing.
//
// Larger trees are walked. So are trees that differ in nothing but what their
// leaves say, as those of a decision tree with several classes do: once for all
// of them.
//
// Answers are those of package leaves, bit for bit: thresholds are rounded to
// float32 so that no float32 changes its side, and leaf values are summed in
// float64 in the order of the trees.
package forest
