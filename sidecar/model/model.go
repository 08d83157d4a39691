// Package model says what a stage of a cascade asks of its model: class
// probabilities for rows of features.
//
// A model names its columns (see package feature for the names), so that what
// it was trained on can be computed again from live packets and nothing more
// is. Implementations live below: model/lightgbm reads LightGBM texts, which
// model/forest evaluates fast and model/leaves for reference; model/onnx runs ONNX
// networks.
package model

import "fmt"

// Model is a loaded classifier. It is immutable and may be shared.
type Model interface {
	// Columns names the features of a row, in order.
	Columns() []string
	// Classes is the number of probabilities a row gets.
	Classes() int
	// NewScorer returns a scorer with scratch memory of its own: one for
	// each goroutine.
	NewScorer() (Scorer, error)
	// Close frees what the model holds. No scorer may be used after it.
	Close() error
}

// Scorer scores rows. It is not safe for concurrent use.
type Scorer interface {
	// Score writes to probs the class probabilities of n rows. rows holds
	// n x len(Columns) values and probs n x Classes, both row by row; each
	// row of probs sums to one. Slices of another length are an error.
	// Score does not allocate in steady state.
	Score(probs, rows []float32, n int) error
	// Close frees the scratch memory.
	Close() error
}

// Batched is a Scorer that scores several rows at once faster than one by one.
type Batched interface {
	Scorer
	// BatchSize is how many rows are best scored at once, 1 if it makes no difference.
	BatchSize() int
}

// Trees is a Scorer of trees, which can tell where a row went in them.
type Trees interface {
	Scorer
	// Leaf is the leaf of a tree that the row scored last has reached. Trees
	// and leaves have the numbers of the model's text.
	Leaf(tree int) int
}

// CheckLengths returns an error unless probs and rows fit n rows of so many
// columns and classes, as Score asks.
func CheckLengths(probs, rows []float32, n, columns, classes int) error {
	if n < 0 || len(rows) != n*columns || len(probs) != n*classes {
		return fmt.Errorf("%d rows of %d columns and %d classes do not fit %d values and %d probabilities",
			n, columns, classes, len(rows), len(probs))
	}
	return nil
}
