package drift

import (
	"errors"

	"serveflow/sidecar/features/feature"
)

// Profile is a reference in the form that counters use. It is immutable and may be
// shared.
type Profile struct {
	shape    Shape
	features []Feature // without their flows
	groups   []group
	expected []int // of all groups
}

// group is the bins of one distribution; those of all groups are adjacent.
type group struct {
	of       string
	from, to int
}

// The groups that every profile has; those of features follow.
const (
	scores = iota
	labels
	stages
	fixedGroups
)

// New returns a profile without counts, with the names and edges of features.
func New(s Shape, features []Feature) (*Profile, error) {
	p := &Profile{shape: s}
	add := func(of string, bins int) {
		from := len(p.expected)
		p.expected = append(p.expected, make([]int, bins)...)
		p.groups = append(p.groups, group{of, from, from + bins})
	}
	add("score", scoreBins)
	add("label", s.Labels+1)
	add("stage", s.Stages)
	for _, f := range features {
		if err := errors.Join(f.check(s), checkEdges(f.Edges)); err != nil {
			return nil, err
		}
		p.features = append(p.features, Feature{Name: f.Name, Edges: f.Edges})
		add("feature:"+f.Name, len(f.Edges)+2)
	}
	return p, nil
}

// Compile returns the profile of a reference, after checking it.
func Compile(r *Reference, s Shape) (*Profile, error) {
	if err := errors.Join(r.Check(s)...); err != nil {
		return nil, err
	}
	p, err := New(s, r.Features)
	if err != nil {
		return nil, err
	}
	copy(p.of(scores), r.Scores)
	copy(p.of(labels), r.Labels)
	copy(p.of(stages), r.Stages)
	for i, f := range r.Features {
		copy(p.of(fixedGroups+i), f.Flows)
	}
	return p, nil
}

// of is the bins of a group.
func (p *Profile) of(group int) []int { return p.bins(p.expected, group) }

func (p *Profile) bins(counts []int, group int) []int {
	g := p.groups[group]
	return counts[g.from:g.to]
}

// values returns a reader of the features.
func (p *Profile) values() (*feature.Values, error) {
	names := make([]string, len(p.features))
	for i, f := range p.features {
		names[i] = f.Name
	}
	return feature.NewValues(names, p.shape.Masks)
}
