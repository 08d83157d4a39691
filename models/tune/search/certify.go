package search

import (
	"math"
	"slices"

	"serveflow/models/tune/bound"
)

// Proof is what calibration sessions say of an option.
type Proof struct {
	Option
	Tested      bool // the options before it held
	Holds       bool
	Calibration float64 // macro F1 on the calibration flows
	// Final is the cascade with a last stage that keeps the limits on the
	// calibration flows as well, and Kept whether it does.
	Final Cascade
	Kept  bool
}

// inOrder is the share of delta at which all options are tested in their order. The
// rest is for the cascades of each row of candidates by themselves: one that is wrong
// on other networks must not keep those from their trial that come after it.
const inOrder = .9

// Certify tests options on calibration sessions in their order, up to the first
// that fails, and those of the same candidates in theirs. Neither the orders nor what
// is tested depends on the calibration, so all that hold do so together with
// confidence 1-delta. What is settled before the last stage is tested: the last stage
// of those that hold is made stricter where the calibration flows ask for it.
func Certify(s, calibration *Set, list []Option, singles []Single, o Options) []Proof {
	proofs := make([]Proof, len(list))
	tests := make([][]bound.Session, len(list))
	rows := map[string][]int{}
	for i, p := range list {
		out := calibration.Run(o.Candidates, p.Cascade)
		tests[i] = calibration.Accepted(out, 0, len(p.Cascade)-1)
		proofs[i] = Proof{Option: p, Calibration: calibration.Macro(out.Said), Final: p.Cascade}
		rows[p.Cascade.row()] = append(rows[p.Cascade.row()], i)
	}
	try := func(order []int, delta float64) {
		var inOrder [][]bound.Session
		for _, i := range order {
			inOrder = append(inOrder, tests[i])
		}
		passed := bound.Passed(inOrder, o.Target, delta)
		for k, i := range order[:min(passed+1, len(order))] {
			proofs[i].Tested, proofs[i].Holds = true, proofs[i].Holds || k < passed
		}
	}
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	try(all, inOrder*o.Delta)
	for _, row := range rows {
		try(row, (1-inOrder)*o.Delta/float64(len(rows)))
	}
	votes := s.votes()
	for i := range proofs {
		p := &proofs[i]
		if !p.Holds {
			continue
		}
		p.Final, p.Kept = Tighten(s, calibration, p.Cascade, singles, o)
		out := calibration.Run(o.Candidates, p.Final)
		p.Kept = p.Kept && calibration.covers(o.Candidates, p.Final, out, o.Limits.Cover)
		p.Calibration = calibration.Macro(out.Said)
		said := s.Run(o.Candidates, p.Final).Said
		p.Macro, p.Known = s.Macro(said), s.givenBy(said, votes).Known
		if o.Progress != nil {
			o.Progress("making the last stage stricter", i+1, len(proofs))
		}
	}
	return proofs
}

// covers says whether every stage before the last takes no more than a share of any
// alarm's flows that it is asked about for what is no alarm, every session counting
// the same.
func (s *Set) covers(candidates []Candidate, c Cascade, o *Outcome, share float64) bool {
	for alarm := range s.Classes {
		if s.role(alarm) != Alarm {
			continue
		}
		for k := range c[:len(c)-1] {
			sessions := make([]bound.Session, s.Sessions())
			for i, f := range s.Flows {
				if f.Class != alarm || int(o.Stage[i]) < k || len(f.Waits) < candidates[c[k].Candidate].Packets {
					continue
				}
				n := &sessions[f.Session]
				n.Flows++
				if int(o.Stage[i]) == k && s.role(int(o.Said[i])) != Alarm {
					n.Wrong++
				}
			}
			if mean(sessions) > share {
				return false
			}
		}
	}
	return true
}

// rungs are the shares of its budget that an alarm is tried with.
var rungs = []float64{1, .5, .25, 0, -1}

// Tighten has the last stage of a cascade, whose thresholds were set on s, keep the
// limits on the calibration flows as well, and says whether they are kept. It
// only ever takes fewer flows.
func Tighten(s, calibration *Set, c Cascade, singles []Single, o Options) (Cascade, bool) {
	before, end := c[:len(c)-1], c[len(c)-1].Candidate
	one := singles[slices.IndexFunc(singles, func(one Single) bool { return one.Candidate == end })]
	l := s.newLast(&o, before, one, s.rank(end), s.votes())
	votes := calibration.votes()
	_, background := calibration.byClass(votes)
	budget := o.budgets(s)
	var tried Cascade
	said := func(step int) []int16 {
		tried = append(slices.Clone(before), l.choose(step, budget))
		return calibration.Run(o.Candidates, tried).Said
	}
	step, kept := l.least(budget), false
	for ; step <= strictest && !kept; step++ {
		kept = o.Limits.keeps(calibration.given(said(step), votes), background)
	}
	step--
	for class := range s.Classes {
		if s.role(class) != Alarm {
			continue
		}
		within := false
		for _, rung := range rungs {
			budget[class] = rung * o.Limits.Budget
			spent := calibration.newLedger(votes)
			for i, class := range said(step) {
				if class != Unknown {
					spent.note(int(class), i)
				}
			}
			if within = spent.kept(class, o.Limits.Budget); within {
				break
			}
		}
		kept = kept && within
	}
	return tried, kept
}

// Best is the place of the proof that serves the objective best, of those that hold, keep the
// limits and whose macro F1 on the calibration flows is within MaxLoss of calibrated, that of the
// slow model alone; false if there is none. Of some that are about as good it is
// the first.
func Best(proofs []Proof, o Options, calibrated float64) (best int, ok bool) {
	var good []int
	for i, p := range proofs {
		if p.Holds && p.Kept && p.Calibration >= calibrated-o.MaxLoss {
			good = append(good, i)
		}
	}
	if len(good) == 0 {
		return 0, false
	}
	for _, alike := range o.criteria(proofs) {
		good = alike(good)
	}
	return good[0], true
}

// criteria are what options are chosen by, one after the other. Each leaves those that
// are as good as the best in it: times that are no more than a twentieth longer, and
// macro F1 that is the same in three digits.
func (o *Options) criteria(proofs []Proof) []func([]int) []int {
	least := func(of func(*Proof) float64, share float64) func([]int) []int {
		return func(list []int) []int {
			best := math.Inf(1)
			for _, i := range list {
				best = min(best, of(&proofs[i]))
			}
			return slices.DeleteFunc(list, func(i int) bool { return of(&proofs[i]) > best+share*best })
		}
	}
	median := least(func(p *Proof) float64 { return p.Median }, .05)
	upper := least(func(p *Proof) float64 { return p.Upper }, .05)
	cpu := least(func(p *Proof) float64 { return p.CPU }, .05)
	macro := least(func(p *Proof) float64 { return -math.Round(p.Macro * 1e3) }, 0)
	right := macro
	if o.Limits.Precision > 0 {
		right = least(func(p *Proof) float64 { return -math.Round(p.Known * 1e3) }, 0)
	}
	switch o.Objective {
	case Rate:
		return []func([]int) []int{cpu, right, median, upper}
	case Accuracy:
		return []func([]int) []int{right, median, upper, cpu}
	}
	return []func([]int) []int{median, right, upper, cpu}
}
