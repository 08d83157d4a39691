package search

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"serveflow/models/tune/bound"
)

var candidates = []Candidate{{"fast", 1, .001}, {"few", 2, .01}, {"slow", 4, .1}}

// small has four flows of two sessions: the third ends after one packet, the
// fourth after three.
func small() *Set {
	return &Set{
		Classes: 2,
		Flows: []Flow{
			{Class: 0, Session: 0, Waits: []float64{0, 1, 2, 3}},
			{Class: 1, Session: 0, Waits: []float64{0, 10, 20, 30}},
			{Class: 1, Session: 1, Waits: []float64{0}},
			{Class: 0, Session: 1, Waits: []float64{0, 5, 6}},
		},
		By: []Answers{
			{[]int16{0, 0, 1, 0}, []float32{.9, .6, .9, .5}},
			{[]int16{0, 1, 1, 1}, []float32{.9, .9, .6, .7}},
			{[]int16{0, 1, 1, 0}, []float32{.9, .9, .3, .8}},
		},
	}
}

func TestRun(t *testing.T) {
	s := small()
	o := s.Run(candidates, Cascade{{0, []float32{.8, .95}}, {1, []float32{.8, .8}}, {2, []float32{.5, .5}}})
	if want := []int16{0, 1, Unknown, 0}; !slices.Equal(o.Said, want) {
		t.Errorf("said %v, want %v", o.Said, want)
	}
	if want := []uint8{0, 1, 2, 2}; !slices.Equal(o.Stage, want) {
		t.Errorf("stages %v, want %v", o.Stage, want)
	}
	// The third flow is asked about twice on the same packet; the fourth ends
	// before the slow model has its packets.
	for i, want := range []float64{.001, 10.01, .101, 6.1} {
		if math.Abs(o.Latency[i]-want) > 1e-9 {
			t.Errorf("flow %d: latency %v, want %v", i, o.Latency[i], want)
		}
	}
	if want := (4*.001 + 2*.01 + 2*.1) / 4; math.Abs(o.CPU-want) > 1e-9 {
		t.Errorf("computing %v, want %v", o.CPU, want)
	}
	accepted := s.Accepted(o, 0, 2)
	if want := []bound.Session{{Flows: 2, Accepted: 2}, {Flows: 2}}; !slices.Equal(accepted, want) {
		t.Errorf("accepted %v, want %v", accepted, want)
	}
}

func TestF1(t *testing.T) {
	s := small() // the truth is 0 1 1 0
	// Class 0: TP 2, FP 1 -> 4/5. Class 1: TP 1, FN 1 -> 2/3.
	if got := s.Macro([]int16{0, 0, 1, 0}); math.Abs(got-(.8+2./3)/2) > 1e-9 {
		t.Errorf("macro F1 %v", got)
	}
	// Unknown is nobody's false positive.
	if got := s.Weighted([]int16{0, Unknown, 1, 0}); math.Abs(got-(1+2./3)/2) > 1e-9 {
		t.Errorf("weighted F1 %v", got)
	}
}

func TestOracle(t *testing.T) {
	s := small()
	c := Cascade{{0, []float32{Never, Never}}, {1, []float32{Never, Never}}, {2, []float32{.5, .5}}}
	o := s.Oracle(candidates, c)
	// The fast model has the second flow wrong, the slow one all right.
	if want := []uint8{0, 1, 0, 0}; !slices.Equal(o.Stage, want) {
		t.Errorf("stages %v, want %v", o.Stage, want)
	}
	if s.Macro(o.Said) != 1 {
		t.Errorf("said %v", o.Said)
	}
}

func TestEscalation(t *testing.T) {
	confidence, random, oracle := small().Escalation(0, 2)
	if first, last := confidence[0], confidence[len(confidence)-1]; first != (Point{0, .75}) || last != (Point{1, 1}) {
		t.Errorf("from %v to %v", first, last)
	}
	if len(random) != 2 || random[1] != confidence[len(confidence)-1] {
		t.Errorf("at random: %v", random)
	}
	if oracle[1] != (Point{.25, 1}) {
		t.Errorf("the oracle needs one flow of four: %v", oracle)
	}
}

func TestReliability(t *testing.T) {
	bins := small().Reliability(0, 2)
	if bins[0].Flows != 0 || bins[1].Flows != 4 || bins[1].Right != .75 {
		t.Errorf("%v", bins)
	}
}

// believe sets the thresholds of the first candidate as a stage on one packet.
func (s *Set) believe(level float64, open []bool) []float32 {
	e := s.newStage(0, 1, s.rank(0), open)
	e.err(level, s.weights())
	e.close(open)
	return e.thresholds()
}

// TestThresholds has a class whose lower half is wrong more often than the level
// allows, and one with too few flows to be sure of anything.
func TestThresholds(t *testing.T) {
	s := &Set{Classes: 2, By: []Answers{{}}}
	add := func(class, said int, score float32, session int) {
		s.Flows = append(s.Flows, Flow{Class: class, Session: session, Waits: []float64{0}})
		s.By[0].Class = append(s.By[0].Class, int16(said))
		s.By[0].Score = append(s.By[0].Score, score)
	}
	for i := range 100 {
		add(0, 0, .9, i%10)
		add(i%2, 0, .5, i%10)
	}
	add(1, 1, .99, 3)
	open := slices.Repeat([]bool{true}, len(s.Flows))
	got := s.believe(.05, open)
	if !(got[0] > .5 && got[0] <= .9) || got[1] != Never {
		t.Errorf("thresholds %v", got)
	}
	if n := len(slices.DeleteFunc(slices.Clone(open), func(o bool) bool { return o })); n != 100 {
		t.Errorf("%d flows are closed, want the 100 that are accepted", n)
	}
}

// TestThresholdsMindSessions has errors that are few among flows and many in a
// session of its own.
func TestThresholdsMindSessions(t *testing.T) {
	s := &Set{Classes: 2, By: []Answers{{}}}
	for i := range 1001 {
		f := Flow{Class: 0, Session: 0, Waits: []float64{0}}
		if i == 1000 {
			f = Flow{Class: 1, Session: 1, Waits: []float64{0}} // one flow of a session, and wrong
		}
		s.Flows = append(s.Flows, f)
		s.By[0].Class = append(s.By[0].Class, 0)
		s.By[0].Score = append(s.By[0].Score, .9)
	}
	open := slices.Repeat([]bool{true}, len(s.Flows))
	if got := s.believe(.05, open); got[0] != Never {
		t.Errorf("threshold %v, want none: half of the sessions are all wrong", got[0])
	}
}

// TestLoss sees what a point estimate does not: the whole loss is that of one
// session.
func TestLoss(t *testing.T) {
	s := &Set{Classes: 2}
	var slow, fast []int16
	for session := range 20 {
		class := session / 19 // one session of class 1
		for range 10 {
			s.Flows = append(s.Flows, Flow{Class: class, Session: session, Waits: []float64{0}})
			slow, fast = append(slow, int16(class)), append(fast, int16(class))
		}
	}
	if got := s.Loss(slow, slow, .1); got != 0 {
		t.Errorf("the same loses %v", got)
	}
	fast[len(fast)-1] = 0
	point := s.Macro(slow) - s.Macro(fast)
	if got := s.Loss(fast, slow, .1); got < point {
		t.Errorf("loss %v in nine samples of ten, %v in one", got, point)
	}
}

// drawn has sessions of ten classes; the fast model knows five of them, the slow
// one all.
func drawn(sessions int, seed uint64) *Set {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &Set{Classes: 10, By: make([]Answers, 3)}
	for session := range sessions {
		class := session % 10
		for range 5 + rng.IntN(20) {
			s.Flows = append(s.Flows, Flow{Class: class, Session: session, Waits: []float64{0, 2, 10, 20}})
			for c, knows := range []int{5, 8, 10} {
				said, score := class, .8+.2*rng.Float32()
				if class >= knows {
					said, score = rng.IntN(10), .7*rng.Float32()
				}
				if rng.Float64() < .01 {
					said = (class + 1) % 10
				}
				s.By[c].Class = append(s.By[c].Class, int16(said))
				s.By[c].Score = append(s.By[c].Score, score)
			}
		}
	}
	return s
}

// TestBest has options of which the first criterion tells hardly any apart: what is
// on two sides of a rounded figure may be closer than what is on one.
func TestBest(t *testing.T) {
	option := func(level, macro, median, upper, cpu, calibration float64, holds bool) Proof {
		return Proof{Option: Option{Level: level, Macro: macro, Median: median, Upper: upper, CPU: cpu}, Holds: holds, Kept: true, Calibration: calibration}
	}
	proofs := []Proof{
		option(1, .8176, .424, 26, 9, .85, true),  // less macro F1 than 3
		option(2, .8187, .426, 34, 8, .85, true),  // as 3, and later
		option(3, .8186, .426, 14, 9, .85, true),  //
		option(4, .8186, .429, 14, 12, .85, true), // as 3, and dearer
		option(5, .8190, .500, 10, 7, .85, true),  // later than 3
		option(6, .8200, .400, 9, 6, .83, true),   // not as good on other sessions
		option(7, .8200, .400, 9, 6, .85, false),
		option(8, .8186, .426, 14, 9, .85, true), // as 3
	}
	for objective, want := range map[Objective]float64{Latency: 3, Rate: 5, Accuracy: 3} {
		best, ok := Best(proofs, Options{Objective: objective, MaxLoss: .01}, .85)
		if !ok || proofs[best].Level != want {
			t.Errorf("%s: chosen %v, want %v", objective, proofs[best].Level, want)
		}
	}
	if _, ok := Best(proofs[5:7], Options{Objective: Latency, MaxLoss: .01}, .85); ok {
		t.Error("nothing holds, and something is chosen")
	}
}

// TestSearch goes the whole way: it must find that the fast models can be
// believed where they know, and show it on other sessions.
func TestSearch(t *testing.T) {
	train, calibration, test := drawn(200, 1), drawn(200, 2), drawn(1000, 3)
	o := Options{Candidates: candidates, Slow: 2, Objective: Latency, MaxLoss: .02, Target: .1, Delta: .1, Stages: 4}
	singles := Singles(train, calibration, &o)
	if Slowest(singles, candidates) != 2 {
		t.Fatal("the slow model is not the slowest")
	}
	for _, objective := range []Objective{Latency, Rate, Accuracy} {
		o.Objective = objective
		slow := train.Run(candidates, Alone(singles[2])).Said
		all := All(train, singles, o)
		list := Shortlist(train, all, o, slow)
		proofs := Certify(train, calibration, list, singles, o)
		at, ok := Best(proofs, o, calibration.Macro(calibration.Run(candidates, Alone(singles[2])).Said))
		if !ok {
			t.Fatalf("%s: nothing was shown", objective)
		}
		best := proofs[at]
		out := test.Run(candidates, best.Cascade)
		wrong, accepted := Error(test.Accepted(out, 0, len(best.Cascade)-1))
		if wrong > o.Target || accepted < .3 {
			t.Errorf("%s: %.3f of the accepted are wrong, %.3f are accepted", objective, wrong, accepted)
		}
		if lost := test.Macro(test.Run(candidates, Alone(singles[2])).Said) - test.Macro(out.Said); lost > .03 {
			t.Errorf("%s: %.3f of macro F1 are lost", objective, lost)
		}
		if objective == Latency && Quantile(out.Latency, .5) > 3 {
			t.Errorf("median latency %v", Quantile(out.Latency, .5))
		}
	}
}

func TestShortlistOfNone(t *testing.T) {
	s := drawn(50, 1)
	o := Options{Candidates: candidates, Slow: 2, MaxLoss: 0, Target: .01, Delta: .1, Stages: 4}
	perfect := make([]int16, len(s.Flows))
	for i, f := range s.Flows {
		perfect[i] = int16(f.Class)
	}
	if list := Shortlist(s, All(s, Singles(s, s, &o), o), o, perfect); len(list) > 0 {
		t.Errorf("nothing is as good as the truth, and %d were found", len(list))
	}
}
