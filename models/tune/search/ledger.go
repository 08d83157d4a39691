package search

// ledger has the false alarms of a cascade's stages so far.
type ledger struct {
	set   *Set
	votes []float64
	// By class; ordinary are all flows that an alarm would be false on.
	flows, heavy            []float64
	ordinary, ordinaryHeavy float64
}

func (s *Set) newLedger(votes []float64) *ledger {
	l := &ledger{set: s, votes: votes, flows: make([]float64, s.Classes), heavy: make([]float64, s.Classes)}
	for i := range s.Flows {
		if s.ordinary(i) {
			l.ordinary++
			l.ordinaryHeavy += votes[i]
		}
	}
	return l
}

// note notes that flow i is given to a class.
func (l *ledger) note(class, i int) {
	if l.set.ordinary(i) {
		l.flows[class]++
		l.heavy[class] += l.votes[i]
	}
}

// within is how many of the flows, which an alarm is to be given to, can be taken
// before it is given falsely to more than a share of the ordinary flows: both where
// every flow counts the same and by votes.
func (l *ledger) within(flows []int32, class int, share float64) int {
	n, heavy := l.flows[class], l.heavy[class]
	for k, i := range flows {
		if l.set.ordinary(int(i)) {
			n, heavy = n+1, heavy+l.votes[i]
		}
		if n > share*l.ordinary || heavy > share*l.ordinaryHeavy {
			return k
		}
	}
	return len(flows)
}

// kept says whether an alarm is within a share.
func (l *ledger) kept(class int, share float64) bool {
	return l.flows[class] <= share*l.ordinary && l.heavy[class] <= share*l.ordinaryHeavy
}
