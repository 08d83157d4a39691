package bench

import (
	"math/bits"
	"time"
)

// histogram counts durations. Each power of two is divided into steps, so that
// a quantile is at most 1/steps too large.
type histogram struct {
	counts [64 * steps]uint64
	n      uint64
	max    time.Duration
}

const (
	stepBits = 6
	steps    = 1 << stepBits
)

// place is the number of the cell that counts d: exact below steps.
func place(d time.Duration) int {
	u := uint64(max(d, 0))
	shift := max(bits.Len64(u)-stepBits-1, 0)
	return shift<<stepBits + int(u>>shift)
}

// edge is the largest duration that cell i counts.
func edge(i int) time.Duration {
	shift := max(i>>stepBits-1, 0)
	return time.Duration(uint64(i-shift<<stepBits+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[place(d)]++
	h.n++
	h.max = max(h.max, d)
}

func (h *histogram) quantiles() Quantiles {
	return quantiles(func(q float64) float64 { return ms(h.quantile(q)) })
}

// quantile is a duration that the share q of all do not exceed; 0 if there is
// none.
func (h *histogram) quantile(q float64) time.Duration {
	need := max(uint64(q*float64(h.n)+.5), 1)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= need {
			return min(edge(i), h.max)
		}
	}
	return h.max
}
