// Package search chooses a cascade: its models, and the threshold of each class at each
// stage.
//
// Its input are the candidates' probabilities for each flow, packet times and sessions.
// All choices use one set of flows, on which each candidate was evaluated without having
// been trained on it. The error bound is tested on a second set (see package bound); a
// third only measures.
package search

import "slices"

// Unknown is the class of a flow that the last stage is not sure of.
const Unknown = -1

// Candidate is a model on one number of packets.
type Candidate struct {
	Name    string
	Packets int
	Cost    float64 // ms of computing a flow
}

// Flow is what is known of a flow but for the answers.
type Flow struct {
	Class   int
	Session int // from 0
	Source  int // whose session it is, from 1; 0: nobody says
	// Waits has the ms from the first packet to each of the first ones, itself
	// included: all that are there before the flow is quiet or as many as any
	// candidate looks at.
	Waits []float64
}

// Answers are what one candidate says of each flow.
type Answers struct {
	Class []int16
	// Score is the class's probability, 0 where the candidate is not asked unless it
	// is the last stage: its packets carry no payload.
	Score []float32
}

// Role is what a class is to whoever acts on labels.
type Role uint8

// The roles.
const (
	Kind       Role = iota // a label like any other
	Alarm                  // one that an analyst acts on
	Background             // surely none of the others
)

// Set is a number of flows.
type Set struct {
	Classes int
	Roles   []Role // by class; nil: all are kinds
	Flows   []Flow
	By      []Answers // by candidate
}

func (s *Set) role(class int) Role {
	if s.Roles == nil {
		return Kind
	}
	return s.Roles[class]
}

// ordinary says whether flow i is none that an alarm is right for.
func (s *Set) ordinary(i int) bool { return s.role(s.Flows[i].Class) != Alarm }

// Sessions is the number of sessions.
func (s *Set) Sessions() int {
	n := 0
	for _, f := range s.Flows {
		n = max(n, f.Session+1)
	}
	return n
}

// sizes counts the flows of each session.
func (s *Set) sizes() []float64 {
	n := make([]float64, s.Sessions())
	for _, f := range s.Flows {
		n[f.Session]++
	}
	return n
}

// Join puts the sessions of two sets into one.
func Join(a, b *Set) *Set {
	all := &Set{Classes: a.Classes, Roles: a.Roles, Flows: slices.Clone(a.Flows), By: make([]Answers, len(a.By))}
	n := a.Sessions()
	for _, f := range b.Flows {
		f.Session += n
		all.Flows = append(all.Flows, f)
	}
	for c := range all.By {
		all.By[c].Class = slices.Concat(a.By[c].Class, b.By[c].Class)
		all.By[c].Score = slices.Concat(a.By[c].Score, b.By[c].Score)
	}
	return all
}
