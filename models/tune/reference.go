package tune

import (
	"context"
	"fmt"
	"slices"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/models/tune/search"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
)

// valueBins is into how many bins of as many flows each the values of a feature
// go, besides values that so many flows share that they get one of their own.
const valueBins = 10

// reference counts the calibration flows as the final cascade decides them.
func (t *tuner) reference(ctx context.Context, c *Choice, list []dataset.Capture) (*drift.Reference, error) {
	masks, err := feature.ParseMasks(t.candidates.Features.Masks)
	if err != nil {
		return nil, err
	}
	shape := drift.Shape{
		Labels: len(t.candidates.Labels), Stages: len(c.Final),
		Packets: c.Candidates[c.Final[len(c.Final)-1].Candidate].Packets, Meta: c.Events == "meta", Masks: masks,
	}
	names := c.telling()
	values, err := feature.NewValues(names, masks)
	if err != nil {
		return nil, err
	}
	columns := make([][]float32, len(names))
	row := make([]float32, len(names))
	err = t.decided(ctx, c, list, func(_, _ int, _ float32, packets []packet.Packet) {
		values.Read(row, packets)
		for i, v := range row {
			columns[i] = append(columns[i], v)
		}
	})
	if err != nil {
		return nil, err
	}
	var features []drift.Feature
	for i, name := range names {
		features = append(features, drift.Feature{Name: name, Edges: edges(columns[i])})
	}
	profile, err := drift.New(shape, features)
	if err != nil {
		return nil, err
	}
	counter, err := profile.NewCounter()
	if err != nil {
		return nil, err
	}
	if err := t.decided(ctx, c, list, counter.Count); err != nil {
		return nil, err
	}
	return counter.Reference(), nil
}

// telling are the numbers of a flow that are worth most to the final cascade, at
// most one of each field.
func (c *Choice) telling() (names []string) {
	for _, f := range c.Importance {
		if f.Value != "" && slices.Max(f.Loss) > 0 && len(names) < telling {
			names = append(names, f.Value)
		}
	}
	return names
}

// decided calls each for every calibration flow, with what the final cascade
// decides and the packets that it decides on.
func (t *tuner) decided(ctx context.Context, c *Choice, list []dataset.Capture, each func(class, stage int, score float32, packets []packet.Packet)) error {
	o := c.Calibration.Run(c.Models, c.Final)
	s := newScorer(t.candidates, nil, c.Events == "meta", t.options.Replay)
	i := 0
	for _, one := range list {
		if one.Split != calibrationSplit {
			continue
		}
		_, err := s.read(ctx, one, func(fl *extract.Flow, _ string, seen int) error {
			if i == len(c.Calibration.Flows) || len(c.Calibration.Flows[i].Waits) != seen {
				return fmt.Errorf("capture %s is not what it was: let no captures change meanwhile", one.File)
			}
			stage := int(o.Stage[i])
			m := c.Final[stage].Candidate
			class := int(o.Said[i])
			if class == search.Unknown {
				class = -1
			}
			each(class, stage, c.Calibration.By[m].Score[i], fl.Packets[:min(seen, c.Candidates[m].Packets)])
			i++
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// edges parts values, missing ones left aside, into bins of about as many each. A
// value that is as frequent as that has a bin of its own, so that a change to one
// close by is seen.
func edges(values []float32) (edges []float32) {
	values = slices.DeleteFunc(slices.Clone(values), func(v float32) bool { return v != v })
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return nil
	}
	for k := 1; k <= valueBins; k++ {
		last := (k*n - 1) / valueBins
		v := values[last]
		first, _ := slices.BinarySearch(values, v)
		above, _ := slices.BinarySearchFunc(values, v, func(a, v float32) int {
			if a <= v {
				return -1
			}
			return 1
		})
		own := (above-first)*valueBins >= n
		if own {
			edges = append(edges, v-.5)
		}
		if own || k < valueBins {
			edges = append(edges, v)
		}
	}
	slices.Sort(edges)
	return slices.Compact(edges)
}
