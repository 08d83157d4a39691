package search

import (
	"math"
	"slices"
)

// Limits are what a cascade has to keep besides its promise.
type Limits struct {
	// Precision is the share of the labels given that are right, at least, by
	// votes; the background's is none. 0: the last stage has one threshold for all
	// labels, that with the best macro F1.
	Precision float64
	// Foreign is the share of the background's flows that another label is given,
	// at most; 0: no matter.
	Foreign float64
	// Budget is the share of ordinary flows that each alarm is given falsely, at
	// most.
	Budget float64
	// Cover is the share of an alarm's flows that a stage before the last may take
	// for something else, where every session counts the same.
	Cover float64
}

// alone is how many times the share of wrong labels that all may have together a
// label may have alone: else a rare one could be wrong at the cost of the others.
const alone = 4

// strictest is the last step of strictness, at which the last stage gives no label.
const strictest = 48

// price is what a wrong label costs at a step of strictness.
func price(step int) float64 {
	if step == 0 {
		return 0
	}
	return math.Pow(2, float64(step-8)/2)
}

// sums are votes.
type sums struct {
	right, wrong float64 // labels given, the background's left aside
	foreign      float64 // background that was given a label
}

// give adds flow i, which is given to a class.
func (s *Set) give(to *sums, class, i int, vote float64) {
	truth := s.Flows[i].Class
	switch {
	case s.role(class) == Background:
	case class == truth:
		to.right += vote
	default:
		to.wrong += vote
		if s.role(truth) == Background {
			to.foreign += vote
		}
	}
}

// given sums up what was said of the flows.
func (s *Set) given(said []int16, votes []float64) (sum sums) {
	for i, class := range said {
		if class != Unknown {
			s.give(&sum, int(class), i, votes[i])
		}
	}
	return sum
}

// keeps says whether sums on a set keep precision and foreign labels.
func (l *Limits) keeps(sum sums, background float64) bool {
	return sum.right >= l.Precision*(sum.right+sum.wrong) && (l.Foreign == 0 || sum.foreign <= l.Foreign*background)
}

// byClass are the votes of each class's flows, and of the background's.
func (s *Set) byClass(votes []float64) (classes []float64, background float64) {
	classes = make([]float64, s.Classes)
	for i, f := range s.Flows {
		classes[f.Class] += votes[i]
		if s.role(f.Class) == Background {
			background += votes[i]
		}
	}
	return classes, background
}

// last is the last stage while its thresholds are being set, on the flows that the
// stages before it leave. It decides those, too, that ended before it had all its
// packets, as the sidecar would: all count alike.
type last struct {
	*stage
	one    Single
	limits *Limits
	ledger *ledger  // of the stages before
	before sums     // given by the stages before
	sums   [][]sums // by class, of each number allowed
	// Votes of each class's flows, of the background's and of all.
	classes         []float64
	background, all float64
}

func (s *Set) newLast(o *Options, before Cascade, one Single, r ranks, votes []float64) *last {
	open := slices.Repeat([]bool{true}, len(s.Flows))
	l := &last{one: one, limits: &o.Limits, ledger: s.newLedger(votes), all: float64(len(s.Flows))}
	l.classes, l.background = s.byClass(votes)
	if len(before) > 0 {
		nothing := Stage{one.Candidate, slices.Repeat([]float32{Never}, s.Classes)}
		out := s.Run(o.Candidates, append(slices.Clone(before), nothing))
		l.before = s.given(out.Said, votes)
		for i, class := range out.Said {
			if open[i] = int(out.Stage[i]) == len(before); !open[i] {
				l.ledger.note(int(class), i)
			}
		}
	}
	l.stage = s.newStage(one.Candidate, 0, r, open)
	l.sums = make([][]sums, s.Classes)
	for class := range l.reached {
		var sum sums
		right, n := 0., 0.
		l.steps(class, func(i int32) {
			n += votes[i]
			if s.Flows[i].Class == class {
				right += votes[i]
			}
			s.give(&sum, class, int(i), votes[i])
		}, func(taken int) {
			least := 1 - alone*(1-l.limits.Precision)
			if s.role(class) == Background {
				least = l.limits.Precision
			}
			if right >= least*n {
				l.allowed[class], l.sums[class] = append(l.allowed[class], taken), append(l.sums[class], sum)
			}
		})
	}
	return l
}

// least is the first step of strictness at which the flows keep the limits.
func (l *last) least(budget []float64) int {
	for step := range strictest {
		if l.choose(step, budget); l.limits.keeps(l.sum(), l.background) {
			return step
		}
	}
	return strictest
}

// sum is what the cascade gives, with what is taken now.
func (l *last) sum() sums {
	sum := l.before
	for class, n := range l.taken {
		if k, ok := slices.BinarySearch(l.allowed[class], n); ok {
			at := l.sums[class][k]
			sum.right, sum.wrong, sum.foreign = sum.right+at.right, sum.wrong+at.wrong, sum.foreign+at.foreign
		}
	}
	return sum
}

// choose sets the thresholds: those that get the most of each kind right, every kind
// counting the same, less the price of what is wrong; each alarm within a budget.
// A higher step of strictness takes no flow that a lower one does not.
func (l *last) choose(step int, budget []float64) Stage {
	cost := price(step)
	for class, flows := range l.reached {
		most := len(flows)
		if l.set.role(class) == Alarm {
			most = l.ledger.within(flows, class, budget[class])
		}
		l.atMost(class, most)
		if l.limits.Precision == 0 || l.set.role(class) == Background {
			continue
		}
		l.taken[class] = 0
		best := 0.
		for k, n := range l.allowed[class] {
			sum := &l.sums[class][k]
			worth := sum.right/max(l.classes[class], 1e-9) - cost*sum.wrong/l.all
			if n <= most && step < strictest && worth > best {
				best, l.taken[class] = worth, n
			}
		}
	}
	t := l.thresholds()
	for class := range t {
		if l.limits.Precision == 0 {
			if l.taken[class] == len(l.reached[class]) {
				t[class] = 0
			}
			t[class] = max(t[class], l.one.Threshold)
		}
	}
	return Stage{l.one.Candidate, t}
}
