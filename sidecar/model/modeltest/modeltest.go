// Package modeltest has a model for tests, whose answers the test sets.
package modeltest

import (
	"fmt"
	"sync"

	"serveflow/sidecar/model"
)

// Model calls Answer for every row.
type Model struct {
	Names   []string // columns
	Options int      // classes
	// Answer sets the probabilities of one row.
	Answer func(probs, row []float32) error
	// AtOnce is how many rows its scorers are best asked about at once, 0 as 1.
	AtOnce int

	mu      sync.Mutex
	batches []int
}

// Sure returns a model that gives probability p to the class in the first column:
// its value modulo the classes.
func Sure(p float32, classes int, columns ...string) *Model {
	return &Model{Names: columns, Options: classes, Answer: func(probs, row []float32) error {
		for c := range probs {
			probs[c] = (1 - p) / float32(classes-1)
		}
		probs[max(int(row[0]), 0)%classes] = p
		return nil
	}}
}

// Columns implements model.Model.
func (m *Model) Columns() []string { return m.Names }

// Classes implements model.Model.
func (m *Model) Classes() int { return m.Options }

// NewScorer implements model.Model.
func (m *Model) NewScorer() (model.Scorer, error) { return scorer{m}, nil }

// Close implements model.Model.
func (m *Model) Close() error { return nil }

// remembered bounds what Batches returns, so that a benchmark does not fill the
// memory.
const remembered = 1 << 10

// Batches are the numbers of rows in the first thousand calls of Score.
func (m *Model) Batches() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.batches
}

type scorer struct{ m *Model }

func (s scorer) Score(probs, rows []float32, n int) error {
	width, classes := len(s.m.Names), s.m.Options
	if len(rows) != n*width || len(probs) != n*classes {
		return fmt.Errorf("%d rows: %d values for %d columns, %d probabilities for %d classes", n, len(rows), width, len(probs), classes)
	}
	s.m.mu.Lock()
	if len(s.m.batches) < remembered {
		s.m.batches = append(s.m.batches, n)
	}
	s.m.mu.Unlock()
	for i := range n {
		if err := s.m.Answer(probs[i*classes:(i+1)*classes], rows[i*width:(i+1)*width]); err != nil {
			return err
		}
	}
	return nil
}

// BatchSize implements model.Batched.
func (s scorer) BatchSize() int { return max(s.m.AtOnce, 1) }

func (s scorer) Close() error { return nil }
