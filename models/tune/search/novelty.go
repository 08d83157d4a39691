package search

import (
	"cmp"
	"math"
	"slices"
)

// Lost is the share of the flows that a candidate has right which may be taken
// for novel: of all together and of each class, and both where every flow counts
// the same and where every session does. All four are kept, so that of other
// sessions that are like these less than 1 % are lost (docs/measurements/evaluation.md).
const Lost = .02

// novelty returns, for each class, the least strangeness up to which flows have to
// be taken as known so that no more than Lost are lost; nil if the candidate
// cannot tell how strange they are.
func (s *Set) novelty(candidate int) []float32 {
	a := &s.By[candidate]
	if a.Strange == nil {
		return nil
	}
	right := make([][]int32, s.Classes)
	var all []int32
	for i, f := range s.Flows {
		if int(a.Class[i]) == f.Class {
			right[f.Class], all = append(right[f.Class], int32(i)), append(all, int32(i))
		}
	}
	size := s.sizes()
	found := slices.Repeat([]float32{s.keeping(a, all, size)}, s.Classes)
	for class, flows := range right {
		found[class] = max(found[class], s.keeping(a, flows, size))
	}
	return found
}

// keeping is the least strangeness that no more than Lost of the flows exceed. Few
// flows lose none, and others like them may be stranger still.
func (s *Set) keeping(a *Answers, flows []int32, size []float64) float32 {
	flows = slices.Clone(flows)
	slices.SortFunc(flows, func(i, j int32) int { return cmp.Compare(a.Strange[j], a.Strange[i]) })
	all, heavy := float64(len(flows)), 0.0
	for _, i := range flows {
		heavy += 1 / size[s.Flows[i].Session]
	}
	n, lost := 0.0, 0.0
	for _, i := range flows {
		n, lost = n+1, lost+1/size[s.Flows[i].Session]
		if n > Lost*all || lost > Lost*heavy {
			return a.Strange[i] * stretch(all)
		}
	}
	return 0
}

// stretch is by how much strangeness that one flow in so many exceeds has to be
// stretched where that is more than Lost: of n flows with an exponential tail the
// largest is log n scales away, and what one in 1/Lost exceeds is log 1/Lost.
func stretch(flows float64) float32 {
	return float32(max(math.Log(1/Lost)/math.Log(1+flows), 1))
}

// larger has the larger of each two values; nil if there are none.
func larger(a, b []float32) []float32 {
	c := slices.Clone(a)
	for i := range c {
		c[i] = max(c[i], b[i])
	}
	return c
}
