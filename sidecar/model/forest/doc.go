// Package forest evaluates LightGBM classifiers fast.
//
// It uses QuickScorer (Lucchese et al., SIGIR 2015) for trees of up to 32 leaves.
// A tree has a bitvector with one bit for each leaf, from left to right; here a set
// bit marks a leaf that the row cannot reach. A node has a mask of the leaves in its
// left subtree, which a row that the node sends right cannot reach. ORing the masks of
// all nodes that send the row right, in any order, leaves the exit leaf as the first
// zero bit. Because the order does not matter, the nodes of all trees are sorted by
// column and then by threshold. The value of a column is compared with its thresholds
// in ascending order until it does not exceed one. So nodes that send a row left are
// not visited, and no branch depends on a single node.
//
// With AVX2, rows of one batch are scored eight at a time: a threshold is compared with
// the values of eight rows, whose bitvectors are adjacent in memory (V-QuickScorer,
// Lucchese et al., SIGIR 2016). With AVX-512, sixteen rows are scored at a time: nodes
// with the same column and threshold share one comparison, and bitvectors and leaf
// values stay in registers, see wide. The program in asm generates the assembly ("go
// generate"). A row is scored alone, as above, if its batch has no other row, if a row of
// the batch has a NaN, or if a tree is traversed (below) or takes zero for a missing
// value.
//
// Trees with more than 32 leaves are traversed node by node. Adjacent trees that differ
// only in their leaf values are also traversed, once for all of them: a decision tree
// of several classes is stored as such trees.
//
// Results equal those of package leaves bit for bit: thresholds are rounded to
// float32 in the direction that keeps every comparison with a float32, and leaf values
// are summed in float64 in the order of the trees.
package forest
