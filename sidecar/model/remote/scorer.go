package remote

import (
	"context"
	"time"

	"serveflow/sidecar/model"
)

// Scorer asks servers. It implements model.Timed.
type Scorer struct {
	model    *Model
	request  *request
	deadline time.Time
}

// NewScorer implements model.Model.
func (m *Model) NewScorer() (model.Scorer, error) {
	return &Scorer{model: m, request: newRequest(m)}, nil
}

// SetDeadline implements model.Timed.
func (s *Scorer) SetDeadline(t time.Time) { s.deadline = t }

// Score implements model.Scorer. Its errors are ErrDown, ErrLate and ErrWrong.
func (s *Scorer) Score(probs, rows []float32, n int) error {
	if err := model.CheckLengths(probs, rows, n, len(s.model.spec.Columns), s.model.spec.Classes); err != nil {
		return err
	}
	err := s.ask(probs, rows, n)
	s.model.count(err, n)
	return err
}

func (s *Scorer) ask(probs, rows []float32, n int) error {
	var least *endpoint
	for _, e := range s.model.endpoints {
		if e.ready.Load() && (least == nil || e.under.Load() < least.under.Load()) {
			least = e
		}
	}
	if least == nil {
		return ErrDown
	}
	deadline := s.deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(probeTime)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	return least.ask(ctx, s.request, probs, rows, n)
}

// Close implements model.Scorer.
func (s *Scorer) Close() error { return nil }
