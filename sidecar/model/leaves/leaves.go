// Package leaves serves LightGBM classifiers with the evaluator of
// github.com/dmitryikh/leaves, in float64 and node by node. It is the reference for
// package forest, and serves a model in its place if the two do not agree.
//
// The evaluator trusts its input and misreads some models silently, so it gets a
// text that package lightgbm has written from what it parsed and checked.
package leaves

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"

	evaluator "github.com/dmitryikh/leaves"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/lightgbm"
)

// New returns the model that e describes.
func New(e *lightgbm.Ensemble) (m model.Model, err error) {
	defer recovered(&err, "read the model")
	trees, err := evaluator.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(e.Text())), false)
	if err != nil {
		return nil, fmt.Errorf("leaves: read the model: %w", err)
	}
	return &gbdt{e, trees}, nil
}

// recovered turns a panic of the evaluator into an error, so that the process goes
// on.
func recovered(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("leaves: %s: the evaluator panicked: %v", doing, r)
	}
}

// gbdt is a loaded model.
type gbdt struct {
	*lightgbm.Ensemble
	trees *evaluator.Ensemble
}

func (m *gbdt) Columns() []string { return slices.Clone(m.Ensemble.Columns) }
func (m *gbdt) Classes() int      { return m.Ensemble.Classes }
func (m *gbdt) Close() error      { return nil }

func (m *gbdt) NewScorer() (model.Scorer, error) {
	return &scorer{
		gbdt: m,
		row:  make([]float64, len(m.Ensemble.Columns)),
		raw:  make([]float64, m.Groups),
	}, nil
}

// scorer evaluates rows one by one.
type scorer struct {
	*gbdt
	row []float64 // one row, widened
	raw []float64 // its raw scores
}

func (s *scorer) Close() error { return nil }

func (s *scorer) Score(probs, rows []float32, n int) (err error) {
	width, classes := len(s.row), s.Ensemble.Classes
	if err := model.CheckLengths(probs, rows, n, width, classes); err != nil {
		return err
	}
	defer recovered(&err, "score")
	for i := range n {
		for j, v := range rows[i*width : (i+1)*width] {
			s.row[j] = float64(v)
		}
		if err := s.trees.Predict(s.row, 0, s.raw); err != nil {
			return fmt.Errorf("leaves: score: %w", err)
		}
		s.Probabilities(probs[i*classes:(i+1)*classes], s.raw)
	}
	return nil
}
