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
}

// Certify tests options on calibration sessions in their order, up to the first
// that fails. Neither the order nor what is tested depends on the calibration, so
// all that hold do so together with confidence 1-delta.
func Certify(calibration *Set, list []Option, o Options) []Proof {
	proofs := make([]Proof, len(list))
	tests := make([][]bound.Session, len(list))
	for i, p := range list {
		out := calibration.Run(o.Candidates, p.Cascade)
		tests[i] = calibration.Accepted(out, 0, len(p.Cascade)-1)
		proofs[i] = Proof{Option: p, Calibration: calibration.Macro(out.Said)}
	}
	passed := bound.Passed(tests, o.Target, o.Delta)
	for i := range proofs {
		proofs[i].Tested, proofs[i].Holds = i <= passed, i < passed
	}
	return proofs
}

// Best is the proof that serves the objective best, of those that hold and whose
// macro F1 on the calibration flows is within MaxLoss of calibrated, that of the
// slow model alone; false if there is none. Of some that are about as good it is
// the first.
func Best(proofs []Proof, o Options, calibrated float64) (Proof, bool) {
	var good []Proof
	for _, p := range proofs {
		if p.Holds && p.Calibration >= calibrated-o.MaxLoss {
			good = append(good, p)
		}
	}
	if len(good) == 0 {
		return Proof{}, false
	}
	for _, alike := range o.criteria() {
		good = alike(good)
	}
	return good[0], true
}

// criteria are what options are chosen by, one after the other. Each leaves those that
// are as good as the best in it: times that are no more than a twentieth longer, and
// macro F1 that is the same in three digits.
func (o *Options) criteria() []func([]Proof) []Proof {
	least := func(of func(*Proof) float64, share float64) func([]Proof) []Proof {
		return func(list []Proof) []Proof {
			best := math.Inf(1)
			for i := range list {
				best = min(best, of(&list[i]))
			}
			return slices.DeleteFunc(list, func(p Proof) bool { return of(&p) > best+share*best })
		}
	}
	median := least(func(p *Proof) float64 { return p.Median }, .05)
	upper := least(func(p *Proof) float64 { return p.Upper }, .05)
	cpu := least(func(p *Proof) float64 { return p.CPU }, .05)
	macro := least(func(p *Proof) float64 { return -math.Round(p.Macro * 1e3) }, 0)
	switch o.Objective {
	case Rate:
		return []func([]Proof) []Proof{cpu, macro, median, upper}
	case Accuracy:
		return []func([]Proof) []Proof{macro, median, upper, cpu}
	}
	return []func([]Proof) []Proof{median, macro, upper, cpu}
}
