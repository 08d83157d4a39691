package cascade

import (
	"errors"
	"fmt"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// Runner asks the stages of a cascade, one flow at a time. It belongs to one
// goroutine and does not allocate.
type Runner struct {
	cascade *Cascade
	scorers []model.Scorer // nil for batched stages
	trees   []model.Trees  // the scorers of stages that know what is novel
	rows    [][]float32
	probs   []float32
}

// NewRunner returns a runner with scorers of its own for all stages that are
// not batched.
func (c *Cascade) NewRunner() (*Runner, error) {
	r := &Runner{
		cascade: c,
		scorers: make([]model.Scorer, len(c.Stages)),
		trees:   make([]model.Trees, len(c.Stages)),
		rows:    make([][]float32, len(c.Stages)),
		probs:   make([]float32, len(c.Labels)),
	}
	for i := range c.Stages {
		s := &c.Stages[i]
		if s.Batched {
			continue
		}
		var err error
		if r.scorers[i], err = s.Model.NewScorer(); err != nil {
			return nil, errors.Join(fmt.Errorf("stage %q: %w", s.Name, err), r.Close())
		}
		if s.Profile != nil {
			r.trees[i] = r.scorers[i].(model.Trees)
		}
		r.rows[i] = make([]float32, s.Plan.Width())
	}
	return r, nil
}

// Score asks stage i about a flow's first packets: all that are there, of
// which the stage uses what it needs.
func (r *Runner) Score(i int, flow []packet.Packet) (Verdict, error) {
	s := &r.cascade.Stages[i]
	s.Plan.Encode(r.rows[i], s.inputs(flow))
	if err := r.scorers[i].Score(r.probs, r.rows[i], 1); err != nil {
		return Verdict{}, fmt.Errorf("stage %q: %w", s.Name, err)
	}
	v := s.verdict(r.probs)
	if s.Profile != nil {
		v.Novel = s.Profile.Novelty(v.Class, v.Score, r.rows[i], r.trees[i]) > s.MaxNovelty[v.Class]
		v.Accepted = v.Accepted && !v.Novel
	}
	return v, nil
}

// Warm asks every stage about a flow of which nothing is known, for what takes
// longer the first time.
func (r *Runner) Warm() error {
	for i, s := range r.scorers {
		if s == nil {
			continue
		}
		if _, err := r.Score(i, nil); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the scorers.
func (r *Runner) Close() error {
	var errs []error
	for _, s := range r.scorers {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
