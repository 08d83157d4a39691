package drift

import (
	"fmt"
	"math"

	"serveflow/sidecar/features/feature"
)

// Reference counts the calibration flows of a cascade as it decides them, each flow
// once, as a window of the sidecar does.
type Reference struct {
	// Scores are the flows by the score of the stage that decided them, in ten
	// bins of equal width from 0 to 1.
	Scores []int `toml:"scores"`
	// Labels are the flows by label, unknown first.
	Labels []int `toml:"labels"`
	// Stages are the flows by the stage that decided them.
	Stages   []int     `toml:"stages"`
	Features []Feature `toml:"feature"`
}

// Feature counts the flows by one feature of the packets that they were decided on.
type Feature struct {
	Name string `toml:"name"` // as in feature.ValueOf
	// Edges separate the bins, in ascending order; an edge belongs to the bin
	// below it.
	Edges []float32 `toml:"edges"`
	// Flows are the flows without a value, then those of each bin.
	Flows []int `toml:"flows"`
}

// Shape is what a reference must match.
type Shape struct {
	Labels, Stages int  // of the cascade
	Packets        int  // that the cascade may need
	Meta           bool // its taps see no headers
	Masks          feature.Mask
}

// The limits of what is read: a bundle may come from anywhere.
const (
	scoreBins   = 10
	maxFeatures = 64
	maxEdges    = 64
	maxFlows    = 1 << 40 // in one bin
)

// Check returns one error for each mistake.
func (r *Reference) Check(s Shape) (errs []error) {
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	count := func(field string, flows []int, bins int, what string) {
		if len(flows) != bins {
			bad(field, "%d numbers: give %d, %s", len(flows), bins, what)
			return
		}
		for i, n := range flows {
			if n < 0 || n > maxFlows {
				bad(field, "[%d]: %d: a number of flows, 0 to 2^40", i, n)
				return
			}
		}
		if n, all := total(flows), total(r.Scores); n != all {
			bad(field, "%d flows, and %d under scores: count every flow once", n, all)
		}
	}
	count("scores", r.Scores, scoreBins, "one for each tenth")
	if total(r.Scores) == 0 {
		bad("scores", "no flows")
	}
	count("labels", r.Labels, s.Labels+1, "one for unknown and one for each label")
	count("stages", r.Stages, s.Stages, "one for each stage")
	if len(r.Features) > maxFeatures {
		bad("feature", "%d features: give at most %d", len(r.Features), maxFeatures)
		return errs
	}
	seen := map[string]bool{}
	for i, f := range r.Features {
		at := fmt.Sprintf("feature[%d].", i)
		if err := f.check(s); err != nil {
			bad(at+"name", "%v", err)
		}
		if seen[f.Name] {
			bad(at+"name", "%q is listed twice", f.Name)
		}
		seen[f.Name] = true
		if err := checkEdges(f.Edges); err != nil {
			bad(at+"edges", "%v", err)
		}
		count(at+"flows", f.Flows, len(f.Edges)+2, "one for flows without and one for each bin: one more than there are edges")
	}
	return errs
}

// check checks that taps send what the feature needs, in packets that the cascade
// uses.
func (f *Feature) check(s Shape) error {
	v, err := feature.NewValues([]string{f.Name}, s.Masks)
	switch {
	case err != nil:
		return err
	case v.Packets() > s.Packets:
		return fmt.Errorf("%q uses packet %d of %d", f.Name, v.Packets(), s.Packets)
	case s.Meta && v.NeedsHeaders():
		return fmt.Errorf("%q needs headers, which headerless taps do not send", f.Name)
	}
	return nil
}

func checkEdges(edges []float32) error {
	if len(edges) > maxEdges {
		return fmt.Errorf("%d edges: give at most %d", len(edges), maxEdges)
	}
	for i, e := range edges {
		if math.IsNaN(float64(e)) || math.IsInf(float64(e), 0) {
			return fmt.Errorf("[%d]: %v: give a number", i, e)
		}
		if i > 0 && e <= edges[i-1] {
			return fmt.Errorf("[%d]: %v is not above %v: give them in ascending order", i, e, edges[i-1])
		}
	}
	return nil
}
