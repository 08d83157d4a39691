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

// stage is a candidate whose thresholds are being set: how many of the flows that
// it is asked about are taken, of each class the surest.
type stage struct {
	set     *Set
	answers *Answers
	// reached are the flows that it is asked about and gives to each class, the
	// surest first.
	reached [][]int32
	// allowed are, for each class, how many of them may be taken, ascending: equal
	// scores are taken or refused together.
	allowed [][]int
	taken   []int // by class
}

// newStage is the candidate on those open flows that have its packets. A score of
// zero says that it is not asked.
func (s *Set) newStage(candidate, packets int, r ranks, open []bool) *stage {
	a := &s.By[candidate]
	e := &stage{set: s, answers: a, reached: make([][]int32, s.Classes), allowed: make([][]int, s.Classes), taken: make([]int, s.Classes)}
	for class, flows := range r {
		for _, i := range flows {
			if open[i] && len(s.Flows[i].Waits) >= packets && a.Score[i] > 0 {
				e.reached[class] = append(e.reached[class], i)
			}
		}
	}
	return e
}

// steps calls each for every number of a class's flows that could be taken.
func (e *stage) steps(class int, each func(flow int32), end func(taken int)) {
	flows := e.reached[class]
	for k, i := range flows {
		each(i)
		if k+1 == len(flows) || e.answers.Score[flows[k+1]] != e.answers.Score[i] {
			end(k + 1)
		}
	}
}

// err takes, for each class, as many flows as have an error of at most the share
// level: both where every flow counts the same and where every session does. One
// more flow than there is counts as wrong, so that few flows are no evidence.
func (e *stage) err(level float64, weight []float64) {
	for class := range e.reached {
		n, wrong, heavy, heavyWrong := 1., 1., 1., 1.
		e.steps(class, func(i int32) {
			n++
			heavy += weight[i]
			if e.set.Flows[i].Class != class {
				wrong++
				heavyWrong += weight[i]
			}
		}, func(taken int) {
			if wrong <= level*n && heavyWrong <= level*heavy {
				e.allowed[class] = append(e.allowed[class], taken)
			}
		})
		e.atMost(class, len(e.reached[class]))
	}
}

// atMost takes as many of a class's flows as are allowed and no more than n.
func (e *stage) atMost(class, n int) {
	k, _ := slices.BinarySearch(e.allowed[class], n+1)
	e.taken[class] = 0
	if k > 0 {
		e.taken[class] = e.allowed[class][k-1]
	}
}

// uncover leaves flows to the next stage until, of each alarm's flows that the stage
// is asked about, no more than a share is taken for what is no alarm, where every
// session counts the same: before that, too few packets are there for the alarm to
// show.
func (e *stage) uncover(share float64) {
	s := e.set
	if s.Roles == nil {
		return
	}
	hidden := make([][][]int32, s.Classes)      // of an alarm in a class: places among reached
	asked := make([]map[int]float64, s.Classes) // of an alarm: flows by session
	for class, flows := range e.reached {
		for at, i := range flows {
			f := &s.Flows[i]
			if s.role(f.Class) != Alarm {
				continue
			}
			if asked[f.Class] == nil {
				asked[f.Class], hidden[f.Class] = map[int]float64{}, make([][]int32, s.Classes)
			}
			asked[f.Class][f.Session]++
			if s.role(class) != Alarm {
				hidden[f.Class][class] = append(hidden[f.Class][class], int32(at))
			}
		}
	}
	for alarm, in := range hidden {
		for in != nil {
			total, most, worst, last := 0., 0., 0, 0
			for class, places := range in {
				sum, end := 0., 0
				for _, at := range places {
					if int(at) < e.taken[class] {
						sum, end = sum+1/asked[alarm][s.Flows[e.reached[class][at]].Session], int(at)
					}
				}
				if total += sum; sum > most {
					most, worst, last = sum, class, end
				}
			}
			if total <= share*float64(len(asked[alarm])) {
				break
			}
			e.atMost(worst, last)
		}
	}
}

// usual leaves to the next stage what it is less sure of than of all but a share of a
// class's own flows: a tunnel of a program that is in no training capture looks like
// its cover, but seldom as much as that itself does.
func (e *stage) usual(share float64) {
	for class, flows := range e.reached {
		own := 0
		for _, i := range flows {
			if e.set.Flows[i].Class == class {
				own++
			}
		}
		n := len(flows)
		for left := int(share * float64(own)); left > 0; n-- {
			if e.set.Flows[flows[n-1]].Class == class {
				left--
			}
		}
		for n > 0 && n < len(flows) && e.answers.Score[flows[n]] == e.answers.Score[flows[n-1]] {
			n++ // equal scores are taken or refused together
		}
		e.atMost(class, min(e.taken[class], n))
	}
}

// withhold leaves the flows of alarms to the last stage: more packets cost an alarm
// some milliseconds, and a false one an analyst's time.
func (e *stage) withhold() {
	for class := range e.reached {
		if e.set.role(class) == Alarm {
			e.atMost(class, 0)
		}
	}
}

// close closes the flows that are taken.
func (e *stage) close(open []bool) {
	for class, n := range e.taken {
		for _, i := range e.reached[class][:n] {
			open[i] = false
		}
	}
}

// thresholds are the scores from which as many flows are taken.
func (e *stage) thresholds() []float32 {
	found := make([]float32, len(e.taken))
	for class, n := range e.taken {
		found[class] = Never
		if n > 0 {
			found[class] = between(e.answers.Score, e.reached[class], n)
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
// one with the best macro F1.
func (s *Set) abstain(candidate int) (threshold float32) {
	a := &s.By[candidate]
	said := make([]int16, len(s.Flows))
	best := -1.0
	for step := range 13 {
		t := float32(step) / 20
		for i := range said {
			said[i] = Unknown
			if a.Score[i] >= t {
				said[i] = a.Class[i]
			}
		}
		if macro := s.Macro(said); macro > best+1e-4 {
			threshold, best = t, macro
		}
	}
	return threshold
}
