// Package model defines what a stage of a cascade needs of its model: class
// probabilities for rows of features.
//
// A model names its columns (see package feature for the names), so that exactly
// the features it was trained on are computed from live packets. Implementations
// are in subpackages: model/lightgbm reads LightGBM texts, which model/forest
// evaluates fast and model/leaves for reference; model/onnx runs ONNX networks.
package model

import (
	"fmt"
	"time"
)

// Model is a loaded classifier. It is immutable and may be shared.
type Model interface {
	// Columns names the features of a row, in order.
	Columns() []string
	// Classes is the number of probabilities a row gets.
	Classes() int
	// NewScorer returns a scorer with its own scratch memory, one for each
	// goroutine.
	NewScorer() (Scorer, error)
	// Close frees what the model holds. No scorer may be used after it.
	Close() error
}

// Scorer scores rows. It is not safe for concurrent use.
type Scorer interface {
	// Score writes the class probabilities of n rows to probs. rows has n x
	// len(Columns) values and probs n x Classes, both row by row; each row of
	// probs sums to one. Slices of another length are an error. Score does not
	// allocate in steady state.
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

// Timed is a Scorer whose answers may be late.
type Timed interface {
	Scorer
	// SetDeadline says until when the next Score has to answer, or fail.
	SetDeadline(time.Time)
}

// Shared is a Model that is best asked by several scorers at a time.
type Shared interface {
	Model
	// Workers is how many.
	Workers() int
}

// CheckLengths returns an error unless probs and rows fit n rows of so many columns
// and classes.
func CheckLengths(probs, rows []float32, n, columns, classes int) error {
	if n < 0 || len(rows) != n*columns || len(probs) != n*classes {
		return fmt.Errorf("%d rows of %d columns and %d classes do not fit %d values and %d probabilities",
			n, columns, classes, len(rows), len(probs))
	}
	return nil
}
