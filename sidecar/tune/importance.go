package tune

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"serveflow/sidecar/captures"
	"serveflow/sidecar/extract"
	"serveflow/sidecar/feature"
	"serveflow/sidecar/tune/search"
)

// Field is what a header field, or a size or time, is worth to a model: the share
// of calibration flows that it gets right no more when the field's columns are
// exchanged between flows (permutation importance; Breiman, "Random Forests",
// Machine Learning 45, 2001, section 10).
type Field struct {
	Name string
	// Loss is by stage of the final cascade.
	Loss []float64
}

// importanceFlows bounds the flows that importance is measured with.
const importanceFlows = 2000

// importance measures what each field is worth to the stages of the final
// cascade, the field first that is worth most.
func (t *tuner) importance(ctx context.Context, c *Choice, l []*loaded, list []captures.Capture) ([]Field, error) {
	s := newScorer(t.candidates, l, c.Events == "meta", t.options.Replay)
	worth := map[string][]float64{}
	for k, stage := range c.Final {
		rows, truth, err := t.rows(ctx, s, l[stage.Candidate], list, len(c.Calibration.Flows))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		loss, err := permute(l[stage.Candidate], rows, truth, len(t.candidates.Labels))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		for field, v := range loss {
			if worth[field] == nil {
				worth[field] = make([]float64, len(c.Final))
			}
			worth[field][k] = v
		}
		if t.options.Progress != nil {
			t.options.Progress("weighing fields ("+c.Events+")", k+1, len(c.Final))
		}
	}
	fields := make([]Field, 0, len(worth))
	for name, loss := range worth {
		fields = append(fields, Field{name, loss})
	}
	slices.SortFunc(fields, func(a, b Field) int {
		return cmp.Or(cmp.Compare(slices.Max(b.Loss), slices.Max(a.Loss)), cmp.Compare(a.Name, b.Name))
	})
	return fields, s.close()
}

// rows encodes calibration flows for a candidate: of so many flows every n-th.
func (t *tuner) rows(ctx context.Context, s *scorer, l *loaded, list []captures.Capture, flows int) (rows [][]float32, truth []int, err error) {
	every, n := flows/importanceFlows+1, 0
	for _, c := range list {
		if c.Split != calibrationSplit {
			continue
		}
		_, err := extract.ReadFlows(ctx, c, t.options.Replay, s.packets, s.meta, func(fl *extract.Flow) error {
			class := slices.Index(t.candidates.Labels, c.Truth(fl.Tuple, fl.Start).Label)
			if class < 0 || !s.features.Serves(fl.Packets[0].Proto) {
				return nil
			}
			if n++; n%every == 0 {
				row := make([]float32, l.whole.plan.Width())
				l.whole.plan.Encode(row, fl.Packets[:s.seen(fl)])
				rows, truth = append(rows, row), append(truth, class)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return rows, truth, nil
}

// permute exchanges the columns of each field between rows.
func permute(l *loaded, rows [][]float32, truth []int, classes int) (map[string]float64, error) {
	sc, err := l.whole.model.NewScorer()
	if err != nil {
		return nil, err
	}
	probs := make([]float32, classes)
	right := func(row func(i int) []float32) (float64, error) {
		n := 0
		for i := range rows {
			if err := sc.Score(probs, row(i), 1); err != nil {
				return 0, err
			}
			if slices.Index(probs, slices.Max(probs)) == truth[i] {
				n++
			}
		}
		return float64(n) / float64(max(len(rows), 1)), nil
	}
	whole, err := right(func(i int) []float32 { return rows[i] })
	columns := map[string][]int{}
	for at, name := range l.whole.model.Columns() {
		field := feature.Field(name)
		columns[field] = append(columns[field], at)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	order := rng.Perm(len(rows)) // the same for all fields
	mixed := make([]float32, l.whole.plan.Width())
	loss := map[string]float64{}
	for field, at := range columns {
		if err != nil {
			break
		}
		var without float64
		without, err = right(func(i int) []float32 {
			copy(mixed, rows[i])
			for _, k := range at {
				mixed[k] = rows[order[i]][k]
			}
			return mixed
		})
		loss[field] = whole - without
	}
	return loss, errors.Join(err, sc.Close())
}

// total is what a stage of the cascade settles of a set, and how wrong it is.
type total struct {
	Share, Wrong float64
}

// totals are the flows that each stage settles; those that are told unknown are
// not counted as wrong.
func totals(s *search.Set, o *search.Outcome, stages int) []total {
	all := make([]total, stages)
	named := make([]float64, stages)
	for i, f := range s.Flows {
		t := &all[o.Stage[i]]
		t.Share++
		if o.Said[i] != search.Unknown {
			named[o.Stage[i]]++
			if int(o.Said[i]) != f.Class {
				t.Wrong++
			}
		}
	}
	for k := range all {
		all[k].Share /= float64(max(len(s.Flows), 1))
		all[k].Wrong /= max(named[k], 1)
	}
	return all
}
