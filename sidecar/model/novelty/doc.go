// Package novelty says how strange a flow is to the class that a model of trees
// gives it to: a model is as sure of what it was never shown as of anything else.
//
// A Profile remembers of the training flows of each class which leaves of the
// class's own trees they reached, and between which values each column of theirs
// lay. The strangeness of a flow is
//
//	√((trees + √columns) / all trees) + (1 - p) / 3
//
// with the number of the class's own trees in which it reaches a leaf that none of
// them reached, the number of columns in which it lies outside of them, and the
// probability of the class. The bits of one header field leave their ranges together,
// so columns are worth less the more there are; and so are trees, for a known class
// in a new place reaches many new leaves, and is told by its probability.
//
// Boosting splits for the difference between classes, so that every class leaves
// most leaves of its own trees to the others. A flow of another origin is not sent
// the way of the class by every tree, though the sum may be. docs/measurements/evaluation.md
// has what it is measured against.
package novelty
