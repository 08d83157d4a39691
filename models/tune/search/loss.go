package search

import "math/rand/v2"

// resamples is the number of times that sessions are resampled.
const resamples = 200

// Loss is the macro F1 that what was said loses against the slow model alone, in
// all but the share delta of samples of the sessions drawn with replacement: the
// upper end of the bootstrap's percentile interval (Efron, "Bootstrap methods",
// Annals of Statistics 7, 1979), with the session as its unit. A loss in one
// sample alone may be that of a few flows of a rare class.
func (s *Set) Loss(said, slow []int16, delta float64) float64 {
	rng := rand.New(rand.NewPCG(1, 0))
	n := s.Sessions()
	mine, theirs := s.tally(said), s.tally(slow)
	losses := make([]float64, resamples)
	times := make([]float64, n)
	for i := range losses {
		clear(times)
		for range n {
			times[rng.IntN(n)]++
		}
		losses[i] = theirs.macro(times, s) - mine.macro(times, s)
	}
	return Quantile(losses, 1-delta)
}

// counts are what the F1 of a class is made of.
type counts struct {
	class               int16
	flows, given, right float64
}

// tallies has the counts of each session, of the classes that occur there.
type tallies [][]counts

// macro is the macro F1 if each session came so many times.
func (t tallies) macro(times []float64, s *Set) float64 {
	sum := make([][3]float64, s.Classes)
	for session, of := range t {
		w := times[session]
		if w == 0 {
			continue
		}
		for _, c := range of {
			sum[c.class][0] += w * c.flows
			sum[c.class][1] += w * c.given
			sum[c.class][2] += w * c.right
		}
	}
	total, n := 0.0, 0.0
	for k, c := range sum {
		if c[0] > 0 && s.role(k) != Background {
			total += 2 * c[2] / (c[0] + c[1])
			n++
		}
	}
	return total / max(n, 1)
}

func (s *Set) tally(said []int16) tallies {
	all := make(tallies, s.Sessions())
	at := map[[2]int]int{}
	of := func(session int, class int16) int {
		key := [2]int{session, int(class)}
		i, ok := at[key]
		if !ok {
			i = len(all[session])
			at[key] = i
			all[session] = append(all[session], counts{class: class})
		}
		return i
	}
	for i, f := range s.Flows {
		all[f.Session][of(f.Session, int16(f.Class))].flows++
		if said[i] == Unknown {
			continue
		}
		k := of(f.Session, said[i])
		all[f.Session][k].given++
		if int(said[i]) == f.Class {
			all[f.Session][k].right++
		}
	}
	return all
}
