// Package bound bounds the error of accepted flows, with a given confidence, from a
// number of sessions.
//
// Flows of one session are alike: a thousand flows of one chatty device are not
// independent, and a bound that assumes so is broken. The unit is therefore the
// session. Draw a session at random and then a flow of it: if the flow is accepted, it
// is wrong with probability at most target. This is a ratio,
//
//	P(wrong and accepted) / P(accepted) <= target,
//
// which is equivalent to a mean of at most zero, of
//
//	z = (share of the session's flows that are wrong and accepted)
//	    - target x (share of its flows that are accepted),
//
// which lies between -target and 1-target however large the session is. The test
// is a bet against a mean of at least zero (Waudby-Smith and Ramdas, "Estimating
// means of bounded random variables by betting", JRSS B 2024): whoever stakes the
// share s against each session in turn multiplies the capital by 1 - s*z, and if
// the mean is at least zero, the capital is not expected to grow. By Markov's
// inequality it exceeds 1/delta with probability at most delta. The stakes
// here are a fixed mixture, so the order of the sessions does not matter, nor do
// they have to be equally distributed: where sessions are drawn by class, the
// product of their expectations is at most that of their mean.
//
// Several thresholds are tried in an order that is fixed beforehand, each at the
// full delta, up to the first that fails (fixed sequence testing; Angelopoulos,
// Bates, Candès, Jordan, Lei, "Learn then Test", arXiv 2110.01052, section 2.3).
// All before it hold together with confidence 1-delta.
package bound

import "math"

// Session counts the flows of one session.
type Session struct {
	Flows    float64
	Accepted float64
	Wrong    float64 // accepted and wrong
}

// stakes is how many stakes are mixed.
const stakes = 50

// Evidence is the logarithm of the capital that bets against an error above
// target have made of 1. Sessions without flows say nothing. A target that is not
// between 0 and 1 has no evidence for it.
func Evidence(sessions []Session, target float64) float64 {
	if !(target > 0 && target < 1) {
		return math.Inf(-1)
	}
	return evidence(sessions, target, 0)
}

// evidence is that of the sessions and of so many further ones that are accepted
// whole and without an error.
func evidence(sessions []Session, target float64, more int) float64 {
	var logs [stakes]float64
	for i := range logs {
		logs[i] = float64(more) * math.Log1p(stake(i, target)*target)
	}
	for _, s := range sessions {
		if s.Flows == 0 {
			continue
		}
		z := (s.Wrong - target*s.Accepted) / s.Flows
		for i := range logs {
			logs[i] += math.Log1p(-stake(i, target) * z)
		}
	}
	most := math.Inf(-1)
	for _, l := range logs {
		most = max(most, l)
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/stakes)
}

// stake is one of the stakes, up to and without the one that may lose everything.
func stake(i int, target float64) float64 { return (float64(i) + .5) / stakes / (1 - target) }

// Holds says whether sessions show, with confidence 1-delta, that the error is at
// most target.
func Holds(sessions []Session, target, delta float64) bool {
	return Evidence(sessions, target) >= -math.Log(delta)
}

// Least is the least error target, in steps of 0.001, that the sessions show with
// confidence 1-delta; 1 if they show none.
func Least(sessions []Session, delta float64) float64 { return least(sessions, delta, 1000) }

// LeastRate is Least in steps of 0.0001, for what has to be rare.
func LeastRate(sessions []Session, delta float64) float64 { return least(sessions, delta, 10_000) }

func least(sessions []Session, delta float64, steps int) float64 {
	low, high := 0, steps // low is not shown, high may be
	for low+1 < high {
		mid := (low + high) / 2
		if Holds(sessions, float64(mid)/float64(steps), delta) {
			high = mid
		} else {
			low = mid
		}
	}
	return float64(high) / float64(steps)
}

// More is how many further sessions, accepted whole and without an error, it would
// take to show a target with confidence 1-delta; 0 if these do.
func More(sessions []Session, target, delta float64) int {
	if !(target > 0 && target < 1) {
		return math.MaxInt
	}
	shows := func(more int) bool { return evidence(sessions, target, more) >= -math.Log(delta) }
	low, high := -1, 0
	for !shows(high) {
		low, high = high, 2*high+1
	}
	for low+1 < high {
		if mid := (low + high) / 2; shows(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// Passed is how many of the hypotheses, in their order, hold before the first
// that does not.
func Passed(inOrder [][]Session, target, delta float64) int {
	for i, sessions := range inOrder {
		if !Holds(sessions, target, delta) {
			return i
		}
	}
	return len(inOrder)
}
