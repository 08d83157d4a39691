package search

import (
	"cmp"
	"slices"

	"serveflow/models/tune/bound"
)

// Objective is what the cascade is chosen for.
type Objective string

// The objectives.
const (
	Latency Objective = "latency" // the lowest median serving latency
	Rate    Objective = "rate"    // the least computing for a flow
	// Accuracy is the best macro F1, and where labels have to be precise the
	// largest share of known kinds that is right.
	Accuracy Objective = "accuracy"
)

// Options say what to search for.
type Options struct {
	Candidates []Candidate
	Slow       int // candidate that the others are measured against, and last stage
	Objective  Objective
	MaxLoss    float64 // of macro F1 against the slow model alone
	Target     float64 // error among accepted flows
	Delta      float64 // how often it may be over target
	Stages     int     // at most
	Limits     Limits
	// Progress, if set, is called as the search goes on.
	Progress func(what string, done, total int)
}

// Option is a cascade that could be chosen, and what it does on the flows that
// are chosen by.
type Option struct {
	Cascade Cascade
	Level   float64 // errors for which its thresholds were set
	Macro   float64
	Known   float64 // see Given
	Median  float64 // ms
	Upper   float64 // third quartile, ms
	CPU     float64 // ms a flow
	Growth  float64 // of the evidence for the promise, a session
	Margin  float64 // of that for a promise of half the target
}

// levels are the errors for which thresholds are set, as shares of the target.
var levels = []float64{.05, .1, .15, .2, .3, .5, .8, 1}

// Single is one candidate asked about every flow.
type Single struct {
	Candidate int
	Threshold float32 // under which it had better say nothing
	// Last is the stage where none follows, as the training flows have it.
	Last   Stage
	Macro  float64
	Median float64 // ms
	CPU    float64 // ms a flow
	Front  bool    // no other is at least as good in quality, latency and CPU
}

// Singles measures each candidate alone. Under which score it had better say
// nothing is found on the calibration flows, whose scores are those of the model
// that is served, unless labels have to be precise; no promise rests on it.
func Singles(s, calibration *Set, o *Options) []Single {
	all := make([]Single, len(o.Candidates))
	votes := s.votes()
	for i := range o.Candidates {
		one := Single{Candidate: i}
		if o.Limits.Precision == 0 {
			one.Threshold = calibration.abstain(i)
		}
		l := s.newLast(o, nil, one, s.rank(i), votes)
		budget := o.budgets(s)
		one.Last = l.choose(l.least(budget), budget)
		out := s.Run(o.Candidates, Cascade{one.Last})
		one.Macro, one.Median, one.CPU = s.Macro(out.Said), Quantile(out.Latency, .5), out.CPU
		all[i] = one
	}
	for i, a := range all {
		all[i].Front = !slices.ContainsFunc(all, func(b Single) bool {
			asGood := b.Macro >= a.Macro && b.Median <= a.Median && b.CPU <= a.CPU
			return asGood && (b.Macro > a.Macro || b.Median < a.Median || b.CPU < a.CPU)
		})
	}
	return all
}

// budgets are the shares of ordinary flows that each class may be given falsely to.
func (o *Options) budgets(s *Set) []float64 {
	return slices.Repeat([]float64{o.Limits.Budget}, s.Classes)
}

// Slowest is the candidate to measure others against: of those with the most
// packets the one with the best macro F1.
func Slowest(singles []Single, candidates []Candidate) int {
	return slices.MaxFunc(singles, func(a, b Single) int {
		return cmp.Or(cmp.Compare(candidates[a.Candidate].Packets, candidates[b.Candidate].Packets), cmp.Compare(a.Macro, b.Macro))
	}).Candidate
}

// unusual is the share of each class's own flows that every stage before the last
// leaves to the next, those that it is least sure of.
const unusual = .01

// All returns every cascade of the candidates on the front, at every level.
func All(s *Set, singles []Single, o Options) []Option {
	rows := o.rows(singles)
	ranked := make([]ranks, len(o.Candidates))
	for _, row := range rows {
		for _, c := range row {
			if ranked[c] == nil {
				ranked[c] = s.rank(c)
			}
		}
	}
	weight, votes := s.weights(), s.votes()
	slow, budget := s.rank(o.Slow), o.budgets(s)
	var all []Option
	for n, row := range rows {
		for _, level := range levels {
			open := slices.Repeat([]bool{true}, len(s.Flows))
			var c Cascade
			for _, m := range row {
				e := s.newStage(m, o.Candidates[m].Packets, ranked[m], open)
				e.err(level*o.Target, weight)
				e.uncover(o.Limits.Cover)
				e.usual(unusual)
				e.withhold()
				e.close(open)
				c = append(c, Stage{m, e.thresholds()})
			}
			l := s.newLast(&o, c, singles[o.Slow], slow, votes)
			end := l.choose(l.least(budget), budget)
			all = append(all, s.option(o, append(c, end), level*o.Target, votes))
		}
		if o.Progress != nil {
			o.Progress("searching cascades", n+1, len(rows))
		}
	}
	return all
}

func (s *Set) option(o Options, c Cascade, level float64, votes []float64) Option {
	out := s.Run(o.Candidates, c)
	accepted, n := s.Accepted(out, 0, len(c)-1), float64(s.Sessions())
	growth, margin := bound.Evidence(accepted, o.Target)/n, bound.Evidence(accepted, o.Target/2)/n
	macro, known := s.Macro(out.Said), s.givenBy(out.Said, votes).Known
	slices.Sort(out.Latency) // most of the search is this
	return Option{c, level, macro, known, quantile(out.Latency, .5), quantile(out.Latency, .75), out.CPU, growth, margin}
}

// rows are the candidates that could stand before the last stage, in the order
// of packets and then of cost: each subset of those on the front.
func (o *Options) rows(singles []Single) [][]int {
	var early []int
	for _, one := range singles {
		if one.Front && one.Candidate != o.Slow && o.Candidates[one.Candidate].Packets <= o.Candidates[o.Slow].Packets {
			early = append(early, one.Candidate)
		}
	}
	slices.SortFunc(early, func(a, b int) int {
		x, y := &o.Candidates[a], &o.Candidates[b]
		return cmp.Or(cmp.Compare(x.Packets, y.Packets), cmp.Compare(x.Cost, y.Cost), cmp.Compare(x.Name, y.Name))
	})
	var rows [][]int
	var add func(row []int, rest []int)
	add = func(row []int, rest []int) {
		for i, c := range rest {
			longer := append(slices.Clone(row), c)
			rows = append(rows, longer)
			if len(longer) < o.Stages-1 {
				add(longer, rest[i+1:])
			}
		}
	}
	add(nil, early)
	return rows
}

// Shortlist returns the options to be tried: those that keep within MaxLoss of
// what the slow model alone says, also when sessions are resampled. First come
// those with the most evidence for half the target, for the first that fails ends the
// trial, and on other networks there are more errors. The list may be empty.
func Shortlist(s *Set, all []Option, o Options, slow []int16) []Option {
	floor := s.Macro(slow) - o.MaxLoss
	var list []Option
	for i, p := range all {
		if p.Growth > 0 && p.Macro >= floor && s.keeps(p, o, slow) {
			list = append(list, p)
		}
		if o.Progress != nil {
			o.Progress("resampling sessions", i+1, len(all))
		}
	}
	slices.SortStableFunc(list, func(a, b Option) int { return cmp.Compare(b.Margin, a.Margin) })
	return list
}

// keeps says whether an option is within MaxLoss, whichever sessions are drawn.
func (s *Set) keeps(p Option, o Options, slow []int16) bool {
	return s.Loss(s.Run(o.Candidates, p.Cascade).Said, slow, o.Delta) <= o.MaxLoss
}
