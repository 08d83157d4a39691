package evaluate

import (
	"math"
	"slices"
)

// Scores are F1 scores, 0 to 1, over the classes that occur in the truth.
type Scores struct {
	Macro    float64 `json:"f1_macro"`    // mean over the classes
	Weighted float64 `json:"f1_weighted"` // mean weighted by the classes' flows
}

// confusion counts flows by true label and given label; a label that is none of
// the classes, such as unknown, is wrong for every class and right for none.
type confusion map[[2]string]int

func (c confusion) add(truth, given string) { c[[2]string{truth, given}]++ }

// Score compares labels with the truth, flow by flow.
func Score(truth, given []string) Scores {
	c := confusion{}
	for i, t := range truth {
		c.add(t, given[i])
	}
	return c.scores()
}

func (c confusion) scores() Scores {
	right, truth, given := map[string]int{}, map[string]int{}, map[string]int{}
	flows := 0
	for pair, n := range c {
		truth[pair[0]] += n
		given[pair[1]] += n
		flows += n
		if pair[0] == pair[1] {
			right[pair[0]] += n
		}
	}
	var s Scores
	for class, n := range truth {
		// F1 = 2TP / (2TP + FP + FN), and FP + TP are the given, FN + TP the true.
		f1 := 2 * float64(right[class]) / float64(given[class]+n)
		s.Macro += f1 / float64(len(truth))
		s.Weighted += f1 * float64(n) / float64(flows)
	}
	return s
}

// quantile is the smallest of the sorted values that at least the share q of
// them do not exceed; 0 if there is none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}

// Latency is how long flows waited for their label, in milliseconds from their
// first packet.
type Latency struct {
	P50       float64 `json:"p50_ms"`
	P90       float64 `json:"p90_ms"`
	P99       float64 `json:"p99_ms"`
	Under16ms float64 `json:"under_16ms"` // share of flows
}

func latency(ms []float64) Latency {
	slices.Sort(ms)
	under, _ := slices.BinarySearch(ms, 16)
	l := Latency{P50: quantile(ms, .5), P90: quantile(ms, .9), P99: quantile(ms, .99)}
	if len(ms) > 0 {
		l.Under16ms = float64(under) / float64(len(ms))
	}
	return l
}
