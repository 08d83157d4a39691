// Package forest evaluates LightGBM classifiers fast.
//
// It uses QuickScorer (Lucchese et al., SIGIR 2015) for trees of up to 32 leaves.
// Each tree has a bitvector of its leaves from left to right; here a set bit is a
// leaf that the row cannot reach. Every node whose test sends the row right has a
// mask of the leaves in its left subtree. ORing the masks of all such nodes, in any
// order, leaves the exit leaf as the first zero bit. So the nodes of all trees are
// sorted by column and then by threshold, and a value is compared in that order
// until a threshold is not exceeded. There is no branch per node, and nodes that
// send a row left cost nothing.
//
// Where the processor has AVX2, rows that are scored together are tested eight at a
// time: a threshold is compared with the values of eight rows, whose bitvectors lie
// side by side (V-QuickScorer, Lucchese et al., SIGIR 2016). With AVX-512 there are
// sixteen rows, each test is made once for all nodes that have it, and bitvectors and
// leaves stay in registers, see wide. The program in asm writes the assembly ("go
// generate"). A row alone, one with a NaN, and any row of trees that are traversed or
// take zero for missing are scored as above.
//
// Larger trees are traversed node by node. So are adjacent trees that differ only
// in their leaf values, as those of a decision tree with several classes do: they
// are traversed once for all.
//
// Results equal those of package leaves bit for bit: thresholds are rounded to
// float32 so that no float32 changes its side, and leaf values are summed in
// float64 in the order of the trees.
package forest
