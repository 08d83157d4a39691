package drift

import "math"

// PSI is the population stability index of flows counted in bins against those
// expected there, sum (a-e) ln(a/e) over the shares of the bins: 0 if they are the
// same. By custom below 0.1 is no change to speak of, and above 0.25 is a large one
// (Siddiqi, "Credit Risk Scorecards", 2006). Of B bins with N and M flows drawn
// alike, it is about (1/N + 1/M) times a chi-square of B-1 degrees of freedom
// (Yurdakul and Naranjo, "Statistical properties of the population stability
// index", Journal of Risk Model Validation 14(4), 2020).
//
// Half a flow is added to every bin (Krichevsky and Trofimov, "The performance of
// universal encoding", 1981), because an empty bin would make the index infinite.
// Both sides are first scaled to the smaller number of flows, so that the addition
// weighs the same on both.
func PSI(expected, actual []int) float64 {
	e, a := total(expected), total(actual)
	flows, bins := float64(min(e, a)), float64(len(expected))
	psi := 0.0
	for i := range expected {
		p := (share(expected[i], e)*flows + .5) / (flows + bins/2)
		q := (share(actual[i], a)*flows + .5) / (flows + bins/2)
		psi += (q - p) * math.Log(q/p)
	}
	return psi
}

func share(n, of int) float64 { return float64(n) / float64(max(of, 1)) }

func total(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
