// Package model says what a stage of a cascade asks of its model: class
// probabilities for rows of features.
//
// A model names its columns (see package feature for the names), so that what
// it was trained on can be computed again from live packets and nothing more
// is. Implementations live below: model/leaves reads LightGBM text, model/onnx
// runs ONNX networks.
package model

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
