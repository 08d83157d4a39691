package tune

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/models/tune/search"
	"serveflow/sidecar/features/feature"
)

// Field is what a header field, or a size or time, is worth to a model: the share
// of calibration flows that it gets right no more when the field's columns are
// exchanged between flows (permutation importance; Breiman, "Random Forests",
// Machine Learning 45, 2001, section 10).
type Field struct {
	Name string
	// Loss is by stage of the final cascade.
	Loss []float64
	// Value is the one of its numbers, see feature.ValueOf, that is worth most by
	// itself to the stage that the field is worth most to. Empty: it has none, or
	// others are worth more.
	Value string
}

const (
	// importanceFlows bounds the flows that importance is measured with.
	importanceFlows = 2000
	// telling is how many fields are looked at for a number that tells of drift.
	telling = 8
)

// importance measures what each field is worth to the stages of the final
// cascade, the field first that is worth most.
func (t *tuner) importance(ctx context.Context, c *Choice, l []*loaded, list []dataset.Capture) ([]Field, error) {
	s := newScorer(t.candidates, l, c.Events == "meta", t.options.Replay)
	fields := map[string]*Field{}
	for k, stage := range c.Final {
		one := l[stage.Candidate]
		rows, truth, err := t.rows(ctx, s, one, list, len(c.Calibration.Flows))
		if err == nil {
			err = weigh(fields, k, len(c.Final), one, rows, truth, len(t.candidates.Labels))
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		if t.options.Progress != nil {
			t.options.Progress("weighing fields ("+c.Events+")", k+1, len(c.Final))
		}
	}
	var sorted []Field
	for _, f := range fields {
		sorted = append(sorted, *f)
	}
	slices.SortFunc(sorted, func(a, b Field) int {
		return cmp.Or(cmp.Compare(slices.Max(b.Loss), slices.Max(a.Loss)), cmp.Compare(a.Name, b.Name))
	})
	return sorted, s.close()
}

// weigh notes what each field is worth to stage k, and of the fields that are
// worth most to it, which number is.
func weigh(fields map[string]*Field, k, stages int, l *loaded, rows [][]float32, truth []int, classes int) error {
	loss, err := permute(l, rows, truth, classes, feature.Field)
	if err != nil {
		return err
	}
	names := slices.SortedFunc(maps.Keys(loss), func(a, b string) int {
		return cmp.Or(cmp.Compare(loss[b], loss[a]), cmp.Compare(a, b))
	})
	most := names[:min(len(names), telling)]
	values, err := permute(l, rows, truth, classes, func(column string) string {
		if !slices.Contains(most, feature.Field(column)) {
			return ""
		}
		return feature.ValueOf(column)
	})
	if err != nil {
		return err
	}
	best := map[string]string{}
	for _, column := range l.whole.model.Columns() {
		field, value := feature.Field(column), feature.ValueOf(column)
		if v, ok := values[value]; ok && (best[field] == "" || v > values[best[field]]) {
			best[field] = value // of equals the earliest packet
		}
	}
	for _, name := range names {
		f := fields[name]
		if f == nil {
			f = &Field{Name: name, Loss: make([]float64, stages)}
			fields[name] = f
		}
		if k == 0 || loss[name] > slices.Max(f.Loss) {
			f.Value = best[name]
		}
		f.Loss[k] = loss[name]
	}
	return nil
}

// rows encodes calibration flows for a candidate: of so many flows every n-th.
func (t *tuner) rows(ctx context.Context, s *scorer, l *loaded, list []dataset.Capture, flows int) (rows [][]float32, truth []int, err error) {
	every, n := flows/importanceFlows+1, 0
	for _, c := range list {
		if c.Split != calibrationSplit {
			continue
		}
		_, err := s.read(ctx, c, func(fl *extract.Flow, label string, seen int) error {
			if n++; n%every == 0 {
				row := make([]float32, l.whole.plan.Width())
				l.whole.plan.Encode(row, fl.Packets[:seen])
				rows, truth = append(rows, row), append(truth, t.candidates.class(label))
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return rows, truth, nil
}

// permute exchanges the columns of each group between rows, and returns what is
// lost by it. Columns of the group "" stay as they are.
func permute(l *loaded, rows [][]float32, truth []int, classes int, group func(column string) string) (map[string]float64, error) {
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
		if of := group(name); of != "" {
			columns[of] = append(columns[of], at)
		}
	}
	rng := rand.New(rand.NewPCG(1, 0))
	order := rng.Perm(len(rows)) // the same for all groups
	mixed := make([]float32, l.whole.plan.Width())
	loss := map[string]float64{}
	for of, at := range columns {
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
		loss[of] = whole - without
	}
	return loss, errors.Join(err, sc.Close())
}

// total is what a stage of the cascade settles of a set, and how wrong it is.
type total struct {
	Share, Wrong float64
}

// totals are the flows that each stage settles; those that are unknown are
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
