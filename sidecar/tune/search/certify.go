package search

import (
	"slices"

	"serveflow/sidecar/tune/bound"
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
// slow model alone; false if there is none.
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
	return slices.MinFunc(good, func(a, b Proof) int { return o.better(a.Option, b.Option) }), true
}
