package bound

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func repeat(s Session, n int) []Session { return slices.Repeat([]Session{s}, n) }

func TestEvidence(t *testing.T) {
	all := Session{Flows: 10, Accepted: 10}
	tests := []struct {
		name     string
		sessions []Session
		target   float64
		holds    bool
	}{
		{"nothing", nil, .1, false},
		{"sessions without flows", repeat(Session{}, 1000), .1, false},
		{"nothing accepted", repeat(Session{Flows: 10}, 1000), .1, false},
		// Nobody can do better than 1 - .05^(1/n): 59 sessions for 5 %.
		{"too few", repeat(all, 58), .05, false},
		{"enough", repeat(all, 90), .05, true},
		{"one large session is one session", []Session{{Flows: 1e6, Accepted: 1e6}}, .1, false},
		{"half accepted needs twice as many", repeat(Session{Flows: 10, Accepted: 5}, 90), .05, false},
		{"half accepted", repeat(Session{Flows: 10, Accepted: 5}, 180), .05, true},
		{"just the target", repeat(Session{Flows: 20, Accepted: 20, Wrong: 1}, 10000), .05, false},
		{"well under the target", repeat(Session{Flows: 50, Accepted: 50, Wrong: 1}, 500), .05, true},
		{"all wrong", repeat(Session{Flows: 5, Accepted: 5, Wrong: 5}, 100), .05, false},
		{"no target", repeat(all, 1000), 0, false},
		{"not a number", repeat(all, 1000), math.NaN(), false},
	}
	for _, test := range tests {
		if got := Holds(test.sessions, test.target, .05); got != test.holds {
			t.Errorf("%s: %v, evidence %.2f", test.name, got, Evidence(test.sessions, test.target))
		}
	}
}

func TestLeast(t *testing.T) {
	sessions := repeat(Session{Flows: 10, Accepted: 10}, 90)
	least := Least(sessions, .05)
	if !Holds(sessions, least, .05) || Holds(sessions, least-.001, .05) {
		t.Errorf("least is %v", least)
	}
	if got := Least(nil, .05); got != 1 {
		t.Errorf("nothing shows %v", got)
	}
}

func TestPassed(t *testing.T) {
	good, bad := repeat(Session{Flows: 1, Accepted: 1}, 200), repeat(Session{Flows: 1}, 200)
	if got := Passed([][]Session{good, good, bad, good}, .05, .05); got != 2 {
		t.Errorf("%d passed, want the 2 before the first that fails", got)
	}
}

// world draws sessions whose flows are alike. A session is a device that the
// model knows or, once in a while, one that it takes for another with
// confidence: then most of its accepted flows are wrong together.
type world struct {
	confused float64 // share of sessions
	*rand.Rand
}

// session counts what a threshold on the confidence accepts, for each of them.
func (w world) session(thresholds []float64) []Session {
	confused := w.Float64() < w.confused
	flows := 1 + int(w.ExpFloat64()*15)
	if w.Float64() < .1 {
		flows *= 20
	}
	counts := make([]Session, len(thresholds))
	for range flows {
		confidence := w.Float64()
		wrong := w.Float64() < .05*(1-confidence)
		if confused {
			wrong = w.Float64() < .9
		}
		for i, t := range thresholds {
			counts[i].Flows++
			if confidence >= t {
				counts[i].Accepted++
				if wrong {
					counts[i].Wrong++
				}
			}
		}
	}
	return counts
}

// sample draws so many sessions: for each threshold, the counts of all.
func (w world) sample(n int, thresholds []float64) [][]Session {
	by := make([][]Session, len(thresholds))
	for range n {
		for i, s := range w.session(thresholds) {
			by[i] = append(by[i], s)
		}
	}
	return by
}

// rate is the error and the coverage that the promise speaks of.
func rate(sessions []Session) (err, coverage float64) {
	for _, s := range sessions {
		err += s.Wrong / s.Flows
		coverage += s.Accepted / s.Flows
	}
	return err / coverage, coverage / float64(len(sessions))
}

// independent is the bound of Clopper and Pearson (1934) on pooled flows, as if
// they were independent: whether, with confidence 1-delta, their error is at most
// target.
func independent(sessions []Session, target, delta float64) bool {
	var n, wrong float64
	for _, s := range sessions {
		n, wrong = n+s.Accepted, wrong+s.Wrong
	}
	// P(Binomial(n, target) <= wrong) <= delta.
	p := 0.0
	for k := 0.0; k <= wrong; k++ {
		a, _ := math.Lgamma(n + 1)
		b, _ := math.Lgamma(k + 1)
		c, _ := math.Lgamma(n - k + 1)
		p += math.Exp(a - b - c + k*math.Log(target) + (n-k)*math.Log1p(-target))
	}
	return p <= delta
}

// TestPromise draws calibrations from worlds whose truth is known. The
// threshold that the tests let pass must break the target in at most delta of
// the draws, and it must not do so by accepting nothing. The bound that takes
// flows as independent is shown to fail in the same draws.
func TestPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: draws 400 samples of 120 sessions")
	}
	const target, delta, sessions, draws = .1, .1, 120, 400
	thresholds := []float64{.3, .2, .1, .05, .02, 0} // the order in which they are tried
	for _, confused := range []float64{.01, .05, .085, .1} {
		truth := world{confused, rand.New(rand.NewPCG(1, 2))}.sample(100_000, thresholds)
		var errs, covers []float64
		for _, s := range truth {
			e, c := rate(s)
			errs, covers = append(errs, e), append(covers, c)
		}
		w := world{confused, rand.New(rand.NewPCG(3, uint64(1000*confused)))}
		broken, brokenIndependent, accepted := 0, 0, 0.0
		for range draws {
			drawn := w.sample(sessions, thresholds)
			if n := Passed(drawn, target, delta); n > 0 {
				accepted += covers[n-1]
				if slices.Max(errs[:n]) > target {
					broken++
				}
			}
			n := 0
			for n < len(drawn) && independent(drawn[n], target, delta) {
				n++
			}
			if n > 0 && slices.Max(errs[:n]) > target {
				brokenIndependent++
			}
		}
		t.Logf("confused %.2f: error %.3f to %.3f; over target %.3f of draws (flows taken as independent: %.3f), coverage %.3f",
			confused, errs[0], errs[len(errs)-1], float64(broken)/draws, float64(brokenIndependent)/draws, accepted/draws)
		// Three standard deviations of the count of draws.
		if limit := delta + 3*math.Sqrt(delta*(1-delta)/draws); float64(broken)/draws > limit {
			t.Errorf("confused %v: the error is over target in %d of %d draws", confused, broken, draws)
		}
		if confused == .01 && accepted/draws < .6 {
			t.Errorf("where errors are few, %.2f of the flows are accepted: hardly any use", accepted/draws)
		}
		if confused == .1 && float64(brokenIndependent)/draws < 2*delta {
			t.Errorf("taking flows as independent breaks the promise in only %d of %d draws: the simulation shows nothing", brokenIndependent, draws)
		}
	}
}

// TestMore: so many further sessions without an error show the target, and one fewer
// does not.
func TestMore(t *testing.T) {
	clean := func(n int) []Session { return slices.Repeat([]Session{{Flows: 5, Accepted: 5}}, n) }
	for _, sessions := range [][]Session{nil, clean(300), append(clean(300), Session{Flows: 10, Accepted: 10, Wrong: 1})} {
		n := More(sessions, 5e-4, .1)
		if n < 1000 || !Holds(append(clean(n), sessions...), 5e-4, .1) || Holds(append(clean(n-1), sessions...), 5e-4, .1) {
			t.Errorf("%d further sessions besides %d", n, len(sessions))
		}
	}
	if n := More(clean(100_000), 5e-4, .1); n != 0 {
		t.Errorf("%d sessions are missing of 100,000", n)
	}
	if n := More(nil, 0, .1); n != math.MaxInt {
		t.Errorf("%d sessions show that nothing is ever wrong", n)
	}
	if got := LeastRate(clean(1000), .1); got <= 0 || got > .006 || Holds(clean(1000), got-1e-4, .1) {
		t.Errorf("1000 sessions without an error show %v", got)
	}
}
