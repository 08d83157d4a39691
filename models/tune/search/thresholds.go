package search

import (
	"cmp"
	"slices"
)

// ranks has, for a candidate and each class, the flows that it gives to the
// class, the surest first.
type ranks [][]int32

func (s *Set) rank(candidate int) ranks {
	a := &s.By[candidate]
	r := make(ranks, s.Classes)
	for i, class := range a.Class {
		r[class] = append(r[class], int32(i))
	}
	for _, flows := range r {
		slices.SortStableFunc(flows, func(i, j int32) int { return cmp.Compare(a.Score[j], a.Score[i]) })
	}
	return r
}

// thresholds returns, for each class, the lowest score down to which the
// candidate's errors among the open flows are at most the share level: both where
// every flow counts the same and where every session does. One more flow than
// there is counts as wrong, so that few flows are no evidence. Open flows that
// are accepted are closed. Novel flows are left to the next stage.
func (s *Set) thresholds(candidate, packets int, r ranks, strange []float32, level float64, open []bool, weight []float64) []float32 {
	a := &s.By[candidate]
	found := make([]float32, s.Classes)
	var reached []int32
	for class, flows := range r {
		reached = reached[:0]
		for _, i := range flows {
			if open[i] && a.Score[i] > 0 && len(s.Flows[i].Waits) >= packets && !novel(a, strange, int(i)) {
				reached = append(reached, i)
			}
		}
		n, wrong, heavy, heavyWrong := 1., 1., 1., 1.
		taken := 0
		for k, i := range reached {
			n++
			heavy += weight[i]
			if s.Flows[i].Class != class {
				wrong++
				heavyWrong += weight[i]
			}
			// Equal scores are accepted or refused together.
			if k+1 < len(reached) && a.Score[reached[k+1]] == a.Score[i] {
				continue
			}
			if wrong <= level*n && heavyWrong <= level*heavy {
				taken = k + 1
			}
		}
		found[class] = Never
		if taken > 0 {
			found[class] = between(a.Score, reached, taken)
		}
		for _, i := range reached[:taken] {
			open[i] = false
		}
	}
	return found
}

// between is a threshold that takes so many of the flows, midway to the next, so
// that the last bit of a score does not decide.
func between(score []float32, flows []int32, taken int) float32 {
	last := score[flows[taken-1]]
	if taken == len(flows) {
		return last - 1e-3
	}
	next := score[flows[taken]]
	if mid := next + (last-next)/2; mid > next {
		return mid
	}
	return last
}

// weights gives every session the same weight, 1 on average.
func (s *Set) weights() []float64 {
	size := s.sizes()
	w := make([]float64, len(s.Flows))
	for i, f := range s.Flows {
		w[i] = float64(len(s.Flows)) / float64(len(size)) / size[f.Session]
	}
	return w
}

// abstain is the score under which a candidate alone had better say nothing: the
// one with the best macro F1. Of novel flows it says nothing either.
func (s *Set) abstain(candidate int, strange []float32) (threshold float32) {
	a := &s.By[candidate]
	said := make([]int16, len(s.Flows))
	best := -1.0
	for step := range 13 {
		t := float32(step) / 20
		for i := range said {
			said[i] = Unknown
			if a.Score[i] >= t && !novel(a, strange, i) {
				said[i] = a.Class[i]
			}
		}
		if macro := s.Macro(said); macro > best+1e-4 {
			threshold, best = t, macro
		}
	}
	return threshold
}
