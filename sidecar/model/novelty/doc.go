// Package novelty measures how unlike its class a flow is. A model of trees needs
// it, because it gives a class with high probability even to flows of kinds that it
// was never trained on.
//
// A Profile records, for the training flows of each class, which leaves of the
// class's own trees they reached, and the range of their values in each column. The
// novelty of a flow is
//
//	√((trees + √columns) / all trees) + (1 - p) / 3
//
// where trees is the number of the class's own trees in which the flow reaches a
// leaf that no training flow reached, columns the number of columns in which it is
// out of range, and p the probability of the class. The bits of one header field
// leave their ranges together, so further columns weigh less; so do trees, because
// a known class in a new place reaches many new leaves and is recognised by its
// probability.
//
// Boosting splits by the differences between classes, so every class leaves most
// leaves of its own trees to the others. A flow of another kind is not sent the way
// of the class by every tree, although the sum may be.
// docs/measurements/evaluation.md has the comparison with other measures.
package novelty
