package search

import "serveflow/models/tune/bound"

// AlarmCount is how often an alarm was given on a set, rightly and not.
type AlarmCount struct {
	Class           int
	Flows, Right    int // of the class: all, and those that are given it
	Ordinary, False int // flows that no alarm is right for: all, and those that are given it
	// Recall and Rate are the shares of these where every session counts the same.
	Recall, Rate float64
	// Sessions and Sources are the draws that a bound of the rate rests on:
	// sessions, and sources with each session of none.
	Sessions, Sources []bound.Session
}

// Alarms counts the alarms of an outcome, in the order of the classes.
func (s *Set) Alarms(o *Outcome) (counts []AlarmCount) {
	for class := range s.Classes {
		if s.role(class) == Alarm {
			counts = append(counts, s.alarm(class, o))
		}
	}
	return counts
}

func (s *Set) alarm(class int, o *Outcome) AlarmCount {
	n := AlarmCount{Class: class}
	ordinary, own := make([]bound.Session, s.Sessions()), make([]bound.Session, s.Sessions())
	source := make([]int, s.Sessions())
	for i, f := range s.Flows {
		source[f.Session] = f.Source
		given := int(o.Said[i]) == class
		switch {
		case f.Class == class:
			n.Flows++
			own[f.Session].Flows++
			if given {
				n.Right++
				own[f.Session].Wrong++ // here: given
			}
		case s.ordinary(i):
			n.Ordinary++
			ordinary[f.Session].Flows++
			ordinary[f.Session].Accepted++
			if given {
				n.False++
				ordinary[f.Session].Wrong++
			}
		}
	}
	n.Sessions = ordinary
	n.Recall, n.Rate = mean(own), mean(ordinary)
	at := map[int]int{}
	for i, one := range ordinary {
		if one.Flows == 0 {
			continue
		}
		k, ok := at[source[i]]
		if !ok || source[i] == 0 {
			k = len(n.Sources)
			at[source[i]] = k
			n.Sources = append(n.Sources, bound.Session{})
		}
		of := &n.Sources[k]
		of.Flows, of.Accepted, of.Wrong = of.Flows+1, of.Accepted+1, of.Wrong+one.Wrong/one.Flows
	}
	return n
}

// mean is the mean share of wrong flows of the sessions that have any flows.
func mean(sessions []bound.Session) float64 {
	sum, n := 0., 0.
	for _, s := range sessions {
		if s.Flows > 0 {
			sum, n = sum+s.Wrong/s.Flows, n+1
		}
	}
	return sum / max(n, 1)
}

// Given is what a cascade's labels are worth on a set, by votes.
type Given struct {
	Known     float64 // share of a kind's flows that are right, the mean of all kinds
	Precision float64 // share of the labels given that are right; 1 if none is
	Foreign   float64 // share of the background that is given a label
}

// Given measures an outcome.
func (s *Set) Given(said []int16) Given {
	return s.givenBy(said, s.votes())
}

func (s *Set) givenBy(said []int16, votes []float64) Given {
	sum := s.given(said, votes)
	classes, background := s.byClass(votes)
	g := Given{Precision: 1, Foreign: sum.foreign / max(background, 1e-9)}
	if n := sum.right + sum.wrong; n > 0 {
		g.Precision = sum.right / n
	}
	right, kinds := make([]float64, s.Classes), 0.
	for i, f := range s.Flows {
		if int(said[i]) == f.Class {
			right[f.Class] += votes[i]
		}
	}
	for class, n := range classes {
		if n > 0 && s.role(class) != Background {
			g.Known, kinds = g.Known+right[class]/n, kinds+1
		}
	}
	g.Known /= max(kinds, 1)
	return g
}
