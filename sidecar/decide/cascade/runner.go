package cascade

import (
	"errors"
	"fmt"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// Runner asks the stages of a cascade, one flow at a time or several at once. It
// belongs to one goroutine and does not allocate.
type Runner struct {
	cascade *Cascade
	stages  []stageRunner
	probs   []float32
}

// stageRunner is what a runner has for a stage that is not batched.
type stageRunner struct {
	scorer   model.Scorer // nil: the stage is batched
	row      []float32
	rows     []float32 // of the flows gathered, room for batch
	gathered int
	batch    int
}

// MaxBatch is the most flows that a runner asks a stage about at once.
const MaxBatch = 16

// NewRunner returns a runner with scorers of its own for all stages that are
// not batched.
func (c *Cascade) NewRunner() (*Runner, error) {
	r := &Runner{cascade: c, stages: make([]stageRunner, len(c.Stages))}
	most := 1
	for i := range c.Stages {
		s := &c.Stages[i]
		if s.Batched {
			continue
		}
		scorer, err := s.Model.NewScorer()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stage %q: %w", s.Name, err), r.Close())
		}
		one := stageRunner{scorer: scorer, row: make([]float32, s.Plan.Width()), batch: 1}
		if b, ok := scorer.(model.Batched); ok {
			one.batch = min(b.BatchSize(), MaxBatch)
		}
		one.rows = make([]float32, one.batch*s.Plan.Width())
		most = max(most, one.batch)
		r.stages[i] = one
	}
	r.probs = make([]float32, most*len(c.Labels))
	return r, nil
}

// BatchSize is how many flows stage i is best asked about at once, 1 if it makes no
// difference.
func (r *Runner) BatchSize(i int) int { return r.stages[i].batch }

// Gather adds a flow's first packets to those that ScoreGathered asks stage i about.
// It returns true if that is due: there is no room for another.
func (r *Runner) Gather(i int, flow []packet.Packet) (full bool) {
	s, g := &r.cascade.Stages[i], &r.stages[i]
	s.Plan.Encode(g.rows[g.gathered*len(g.row):], s.inputs(flow))
	g.gathered++
	return g.gathered == g.batch
}

// ScoreGathered asks stage i about the flows gathered, of which there is at least one,
// and sets a verdict for each, in their order.
func (r *Runner) ScoreGathered(i int, verdicts []Verdict) error {
	s, g, n, classes := &r.cascade.Stages[i], &r.stages[i], len(verdicts), len(r.cascade.Labels)
	g.gathered = 0
	if err := g.scorer.Score(r.probs[:n*classes], g.rows[:n*len(g.row)], n); err != nil {
		return fmt.Errorf("stage %q: %w", s.Name, err)
	}
	for k := range verdicts {
		verdicts[k] = s.verdict(r.probs[k*classes : (k+1)*classes])
	}
	return nil
}

// Score asks stage i about a flow's first packets: all that are there, of
// which the stage uses what it needs.
func (r *Runner) Score(i int, flow []packet.Packet) (Verdict, error) {
	s, g, probs := &r.cascade.Stages[i], &r.stages[i], r.probs[:len(r.cascade.Labels)]
	s.Plan.Encode(g.row, s.inputs(flow))
	if err := g.scorer.Score(probs, g.row, 1); err != nil {
		return Verdict{}, fmt.Errorf("stage %q: %w", s.Name, err)
	}
	return s.verdict(probs), nil
}

// Warm scores an empty flow with every stage, for what takes longer the first time.
func (r *Runner) Warm() error {
	for i := range r.stages {
		if r.stages[i].scorer == nil {
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
	for i := range r.stages {
		if s := r.stages[i].scorer; s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
