package search

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"serveflow/models/tune/bound"
)

// Oracle is the outcome if every flow were settled by the first stage that is
// right about it, and by the last if none is.
func (s *Set) Oracle(candidates []Candidate, c Cascade) *Outcome {
	all := make([]*Outcome, len(c))
	for k := range c {
		// Stages before k ask and are not believed.
		to := slices.Clone(c[:k+1])
		for j := range to {
			to[j].Thresholds = slices.Repeat([]float32{Never}, s.Classes)
		}
		to[k].Thresholds = make([]float32, s.Classes)
		if k < len(c)-1 {
			to = append(to, c[len(c)-1])
		}
		all[k] = s.Run(candidates, to)
	}
	best := all[len(c)-1]
	for i, f := range s.Flows {
		for k, o := range all[:len(c)-1] {
			if int(o.Stage[i]) == k && int(o.Said[i]) == f.Class {
				best.Said[i], best.Stage[i], best.Latency[i] = o.Said[i], o.Stage[i], o.Latency[i]
				break
			}
		}
	}
	return best
}

// Point is a share of escalated flows and the share of right answers then.
type Point struct{ Share, Right float64 }

// Escalation is how right a fast candidate and a slow one are together, by the
// share of flows that go on to the slow one: the least confident first, at
// random, and those first that the fast one has wrong and the slow one right.
func (s *Set) Escalation(fast, slow int) (confidence, random, oracle []Point) {
	f, l := &s.By[fast], &s.By[slow]
	n := len(s.Flows)
	order := make([]int, n)
	gain := make([]int, n) // by sending the flow on
	right := 0
	for i, flow := range s.Flows {
		order[i] = i
		if int(f.Class[i]) == flow.Class {
			right++
			gain[i]--
		}
		if int(l.Class[i]) == flow.Class {
			gain[i]++
		}
	}
	walk := func() []Point {
		points, now := []Point{{0, float64(right) / float64(n)}}, right
		for k, i := range order {
			now += gain[i]
			if (k+1)*100/n != k*100/n || k == n-1 {
				points = append(points, Point{float64(k+1) / float64(n), float64(now) / float64(n)})
			}
		}
		return points
	}
	if n == 0 {
		return nil, nil, nil
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f.Score[a], f.Score[b]) })
	confidence = walk()
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
	oracle = walk()
	random = []Point{confidence[0], confidence[len(confidence)-1]}
	return confidence, random, oracle
}

// Bin is the answers of a range of scores.
type Bin struct {
	Score, Right float64 // means
	Flows        int
}

// Reliability sorts the answers of a candidate into bins of equal width by their
// score: a model whose scores are probabilities is as often right as they say.
func (s *Set) Reliability(candidate, bins int) []Bin {
	all := make([]Bin, bins)
	a := &s.By[candidate]
	for i, f := range s.Flows {
		b := &all[min(int(float64(a.Score[i])*float64(bins)), bins-1)]
		b.Flows++
		b.Score += float64(a.Score[i])
		if int(a.Class[i]) == f.Class {
			b.Right++
		}
	}
	for i := range all {
		if n := float64(all[i].Flows); n > 0 {
			all[i].Score /= n
			all[i].Right /= n
		}
	}
	return all
}

// Error is the share of wrong flows among those of sessions that are accepted, a
// session being drawn first and then a flow of it; and the share of accepted.
func Error(sessions []bound.Session) (wrong, accepted float64) {
	n := 0.0
	for _, s := range sessions {
		if s.Flows > 0 {
			wrong += s.Wrong / s.Flows
			accepted += s.Accepted / s.Flows
			n++
		}
	}
	if accepted == 0 {
		return 0, 0
	}
	return wrong / accepted, accepted / n
}

// Resplit is one random halving of sessions: what was shown on one half, and what
// came true on the other.
type Resplit struct {
	Held            bool
	Error, Accepted float64 // as Error returns them, of the other half
}

// Resplits halves the sessions of a set at random, so many times, tests a cascade
// on one half and measures it on the other. The halves of one set are not
// independent of each other: this describes the data, and proves nothing.
func Resplits(s *Set, c Cascade, o Options, times int, seed uint64) []Resplit {
	rng := rand.New(rand.NewPCG(seed, 0))
	accepted := s.Accepted(s.Run(o.Candidates, c), 0, len(c)-1)
	results := make([]Resplit, times)
	for i := range results {
		rng.Shuffle(len(accepted), func(a, b int) { accepted[a], accepted[b] = accepted[b], accepted[a] })
		half := len(accepted) / 2
		wrong, share := Error(accepted[half:])
		results[i] = Resplit{bound.Holds(accepted[:half], o.Target, o.Delta), wrong, share}
	}
	return results
}
