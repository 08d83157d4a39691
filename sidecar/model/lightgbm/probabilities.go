package lightgbm

import (
	"math"
	"slices"
)

// Probabilities writes the class probabilities for the raw scores of a row,
// one for each group, which it overwrites.
func (e *Ensemble) Probabilities(probs []float32, raw []float64) {
	if e.Groups == 1 {
		p := 1 / (1 + math.Exp(-raw[0]))
		probs[0], probs[1] = float32(1-p), float32(p)
		return
	}
	top := slices.Max(raw) // is subtracted, so that exp cannot overflow
	sum := 0.0
	for k, v := range raw {
		raw[k] = math.Exp(v - top)
		sum += raw[k]
	}
	for k, v := range raw {
		probs[k] = float32(v / sum)
	}
}
