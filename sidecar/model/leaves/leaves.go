// Package leaves serves LightGBM classifiers from their text form, with the
// evaluator of github.com/dmitryikh/leaves.
//
// Load reads the text with a strict parser of its own and hands the evaluator
// a text written anew from what was parsed. The evaluator trusts its input: a
// forged or damaged model file makes it panic, loop for ever or exhaust
// memory, linear trees and some objectives it misreads without a word. None of
// that reaches it through Load, which promises an error that names the tree
// and the field instead.
//
// What is served: objective multiclass (softmax) or binary (logistic, sigmoid
// 1), boosting by gradient (gbdt, dart, goss), numerical splits, versions v3
// and v4 of the text. Models are evaluated in float64, as LightGBM does.
package leaves

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"slices"

	evaluator "github.com/dmitryikh/leaves"

	"serveflow/sidecar/model"
)

// Options says what the caller expects of a model.
type Options struct {
	// Classes is the number of classes, at least 2. A model with another
	// number is refused.
	Classes int
}

// Load validates data, a LightGBM model in text form, and returns the model it
// describes. The columns of the model are the feature_names of the text. The
// error is a *FormatError where the text is at fault.
func Load(data []byte, opts Options) (model.Model, error) {
	if opts.Classes < 2 || opts.Classes > MaxClasses {
		return nil, fmt.Errorf("lightgbm: %d classes expected, must be 2 to %d", opts.Classes, MaxClasses)
	}
	e, err := parse(data)
	if err != nil {
		return nil, err
	}
	if e.classes != opts.Classes {
		return nil, headerError("num_class", "the model has %d classes, %d are expected", e.classes, opts.Classes)
	}
	trees, err := build(e)
	if err != nil {
		return nil, err
	}
	return &gbdt{trees: trees, columns: e.names, classes: e.classes, groups: e.groups}, nil
}

// build lets the evaluator read the text written from e.
func build(e *ensemble) (trees *evaluator.Ensemble, err error) {
	defer recovered(&err, "read the model")
	trees, err = evaluator.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(e.text())), false)
	if err != nil {
		return nil, fmt.Errorf("lightgbm: read the model: %w", err)
	}
	return trees, nil
}

// recovered turns a panic of the evaluator into an error: it must not take
// the process along.
func recovered(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("lightgbm: %s: the evaluator panicked: %v", doing, r)
	}
}

// gbdt is a loaded model.
type gbdt struct {
	trees   *evaluator.Ensemble
	columns []string
	classes int
	groups  int // raw scores a row: classes, or 1 for a binary model
}

func (m *gbdt) Columns() []string { return slices.Clone(m.columns) }
func (m *gbdt) Classes() int      { return m.classes }
func (m *gbdt) Close() error      { return nil }

func (m *gbdt) NewScorer() (model.Scorer, error) {
	return &scorer{
		gbdt: m,
		row:  make([]float64, len(m.columns)),
		raw:  make([]float64, m.groups),
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
	width := len(s.row)
	if n < 0 || len(rows) != n*width || len(probs) != n*s.classes {
		return fmt.Errorf("lightgbm: %d rows of %d columns and %d classes do not fit %d values and %d probabilities",
			n, width, s.classes, len(rows), len(probs))
	}
	defer recovered(&err, "score")
	for i := range n {
		for j, v := range rows[i*width : (i+1)*width] {
			s.row[j] = float64(v)
		}
		if err := s.trees.Predict(s.row, 0, s.raw); err != nil {
			return fmt.Errorf("lightgbm: score: %w", err)
		}
		out := probs[i*s.classes : (i+1)*s.classes]
		if s.groups == 1 {
			logistic(out, s.raw[0])
		} else {
			softmax(out, s.raw)
		}
	}
	return nil
}

// softmax writes the probabilities for raw scores, which it overwrites. The
// greatest score is subtracted first, so that exp cannot overflow.
func softmax(probs []float32, raw []float64) {
	top := slices.Max(raw)
	sum := 0.0
	for k, v := range raw {
		raw[k] = math.Exp(v - top)
		sum += raw[k]
	}
	for k, v := range raw {
		probs[k] = float32(v / sum)
	}
}

func logistic(probs []float32, raw float64) {
	p := 1 / (1 + math.Exp(-raw))
	probs[0], probs[1] = float32(1-p), float32(p)
}
