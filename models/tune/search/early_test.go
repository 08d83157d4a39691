package search

import "testing"

// TestUsual has flows of a kind that a stage is less and less sure of, and what looks
// like them from a score on that few of them are below.
func TestUsual(t *testing.T) {
	c := newCrowd()
	for i := range 200 {
		c.add(1, web, web, .99-float32(i)/1000, 0) // down to .791
	}
	c.add(5, tunnel, web, .7905, 0)
	e, open := c.stage()
	e.usual(.01)
	e.close(open)
	if got := e.thresholds()[web]; got <= .792 || got > .793 {
		t.Errorf("threshold %v: two of 200 are left, from .793 on", got)
	}
	e, _ = c.stage()
	e.usual(.001)
	if got := e.thresholds()[web]; got > .7905 {
		t.Errorf("threshold %v: a share of less than one flow leaves none", got)
	}
}

// TestWithhold has a tunnel that an early stage is sure of.
func TestWithhold(t *testing.T) {
	c := newCrowd()
	for range 100 {
		c.add(10, web, web, .9, 0)
		c.add(1, tunnel, tunnel, .9, 0)
	}
	e, open := c.stage()
	e.withhold()
	e.close(open)
	if got := e.thresholds(); got[tunnel] != Never || got[web] == Never {
		t.Errorf("thresholds %v: the alarm is for the last stage, and it alone", got)
	}
	for i, f := range c.Flows {
		if open[i] != (f.Class == tunnel) {
			t.Fatalf("flow %d of class %d: open is %v", i, f.Class, open[i])
		}
	}
}

// TestEarlyStages: of all cascades no stage before the last gives an alarm, however
// sure it is, or takes the flows that it is least sure of.
func TestEarlyStages(t *testing.T) {
	s := covered(400)
	all := 0
	for i, f := range s.Flows {
		switch f.Class {
		case tunnel:
			s.By[0].Class[i], s.By[0].Score[i] = tunnel, .99
		case web:
			all++
			s.By[0].Score[i] = .9 - float32(all)/1e5
		}
	}
	o := Options{
		Candidates: candidates[:2], Slow: 1, Objective: Accuracy, MaxLoss: .1, Target: .1, Delta: .1, Stages: 3,
		Limits: Limits{Precision: .95, Budget: 5e-4, Cover: 1},
	}
	options := All(s, Singles(s, s, &o), o)
	taken := 0
	for _, option := range options {
		early := option.Cascade[0].Thresholds
		if early[tunnel] != Never {
			t.Errorf("the first of %d stages gives the alarm from %v on", len(option.Cascade), early[tunnel])
		}
		left := 0
		for i, f := range s.Flows {
			if f.Class == web && s.By[0].Score[i] < early[web] {
				left++
			}
		}
		if left < all/100 {
			t.Errorf("%d of %d flows are left to the next stage", left, all)
		}
		if left < all {
			taken++
		}
	}
	if taken == 0 {
		t.Errorf("none of %d cascades takes the web at once", len(options))
	}
}
