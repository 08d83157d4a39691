package search

import (
	"math"
	"slices"
	"strconv"

	"serveflow/models/tune/bound"
)

// Never is a threshold that no score reaches.
const Never = 2

// Stage is a candidate and, for each class, the score from which its word is
// taken.
type Stage struct {
	Candidate  int
	Thresholds []float32
}

// takes says whether the stage's word is taken for flow i.
func (s *Stage) takes(a *Answers, i int) bool {
	class := a.Class[i]
	return a.Score[i] > 0 && a.Score[i] >= s.Thresholds[class]
}

// Cascade is a row of stages; see package cascade for how flows go through it.
type Cascade []Stage

// row names the candidates.
func (c Cascade) row() string {
	var b []byte
	for _, s := range c {
		b = append(strconv.AppendInt(b, int64(s.Candidate), 10), ' ')
	}
	return string(b)
}

// Outcome is what a cascade does with the flows of a set.
type Outcome struct {
	Said    []int16 // class, or Unknown
	Stage   []uint8 // which stage said it
	Latency []float64
	CPU     float64 // ms of computing, the mean of all flows
}

// Run sends the flows of a set through a cascade. A flow that has not the packets
// of the next stage goes to the last when it ends. Its latency, in ms, is the
// time from its first packet to the last one used, and that of the models which
// are asked then.
func (s *Set) Run(candidates []Candidate, c Cascade) *Outcome {
	o := &Outcome{
		Said:    make([]int16, len(s.Flows)),
		Stage:   make([]uint8, len(s.Flows)),
		Latency: make([]float64, len(s.Flows)),
	}
	last := len(c) - 1
	for i := range s.Flows {
		waits := s.Flows[i].Waits
		asked, at := 0.0, 0 // the cost since packet at
		for k, stage := range c {
			m := &candidates[stage.Candidate]
			if k < last && len(waits) < m.Packets {
				continue
			}
			if n := min(m.Packets, len(waits)); n != at {
				asked, at = 0, n
			}
			asked += m.Cost
			o.CPU += m.Cost
			a := &s.By[stage.Candidate]
			class, sure := a.Class[i], stage.takes(a, i)
			if !sure && k < last {
				continue
			}
			if !sure {
				class = Unknown
			}
			o.Said[i], o.Stage[i], o.Latency[i] = class, uint8(k), waits[at-1]+asked
			break
		}
	}
	o.CPU /= float64(max(len(s.Flows), 1))
	return o
}

// Alone is the cascade of one candidate.
func Alone(one Single) Cascade { return Cascade{one.Last} }

// Accepted counts, for each session, the flows that a stage of [from, to) settles.
func (s *Set) Accepted(o *Outcome, from, to int) []bound.Session {
	counts := make([]bound.Session, s.Sessions())
	for i, f := range s.Flows {
		n := &counts[f.Session]
		n.Flows++
		if k := int(o.Stage[i]); k >= from && k < to {
			n.Accepted++
			if int(o.Said[i]) != f.Class {
				n.Wrong++
			}
		}
	}
	return counts
}

// Macro is the macro F1 of what was said, over the classes that occur but for the
// background. Unknown is wrong.
func (s *Set) Macro(said []int16) float64 {
	sum, classes := 0.0, 0.0
	f1, flows := s.ByClass(said)
	for k, n := range flows {
		if n > 0 && s.role(k) != Background {
			sum += f1[k]
			classes++
		}
	}
	return sum / max(classes, 1)
}

// Weighted is the mean of the classes' F1, weighted by their flows.
func (s *Set) Weighted(said []int16) float64 {
	sum := 0.0
	f1, flows := s.ByClass(said)
	for k, n := range flows {
		sum += f1[k] * n
	}
	return sum / float64(max(len(s.Flows), 1))
}

// ByClass is the F1 of each class, and how many flows it has.
func (s *Set) ByClass(said []int16) (f1, flows []float64) {
	right, given := make([]float64, s.Classes), make([]float64, s.Classes)
	f1, flows = make([]float64, s.Classes), make([]float64, s.Classes)
	for i, f := range s.Flows {
		flows[f.Class]++
		if said[i] == Unknown {
			continue
		}
		given[said[i]]++
		if int(said[i]) == f.Class {
			right[f.Class]++
		}
	}
	for k := range f1 {
		f1[k] = 2 * right[k] / max(given[k]+flows[k], 1)
	}
	return f1, flows
}

// Quantile is the smallest of the values that at least the share q of them do
// not exceed; 0 if there is none.
func Quantile(values []float64, q float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), q)
}

// quantile is Quantile of values in order.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}
