package cascade

import (
	"fmt"
	"math"
)

// Verdict is the answer of one stage for one flow.
type Verdict struct {
	Class      int     // the most probable class, 0-based
	Score      float32 // its probability
	Margin     float32 // its lead over the second most probable
	Confidence float32 // by the stage's measure, 0 to 1
	Accepted   bool    // Confidence reaches the class's threshold
}

// Measure turns class probabilities into a confidence between 0 and 1: the
// uncertainty measures of active learning (Settles, Active Learning Literature
// Survey, 2009, section 3.1), inverted so that larger is more confident.
type Measure uint8

// The measures.
const (
	MaxProbability Measure = iota // least confidence: the largest probability
	Margin                        // the largest less the second largest
	Entropy                       // 1 - H(p) / ln K
)

var measures = [...]string{"max_probability", "margin", "entropy"}

func (m Measure) String() string { return measures[m] }

// ParseMeasure is the measure with that name.
func ParseMeasure(name string) (Measure, error) {
	for i, n := range measures {
		if n == name {
			return Measure(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a confidence measure: use %s, %s or %s", name, measures[0], measures[1], measures[2])
}

// verdict makes the stage's verdict of a row of class probabilities.
func (s *Stage) verdict(probs []float32) Verdict {
	best, second := 0, float32(0)
	for i, p := range probs[1:] {
		if p > probs[best] {
			best, second = i+1, probs[best]
		} else if p > second {
			second = p
		}
	}
	v := Verdict{Class: best, Score: probs[best], Margin: probs[best] - second}
	switch s.Measure {
	case MaxProbability:
		v.Confidence = v.Score
	case Margin:
		v.Confidence = v.Margin
	case Entropy:
		h := 0.0
		for _, p := range probs {
			if p > 0 {
				h -= float64(p) * math.Log(float64(p))
			}
		}
		v.Confidence = float32(1 - h/math.Log(float64(len(probs))))
	}
	v.Accepted = v.Confidence >= s.Thresholds[best]
	return v
}

// Reason is what triggered a decision.
type Reason uint8

// The reasons.
const (
	Accepted   Reason = iota // a stage before the last was confident enough
	LastStage                // the last stage had all its packets, or all that will come
	FlowEnd                  // the flow ended first
	Timeout                  // the idle timeout passed first
	Relaxed                  // a stage before the last was confident enough for a threshold lowered under load
	Shed                     // no time for a slow stage: the best label so far
	Partial                  // the flow's first packet was not seen
	Evicted                  // the flow was removed undecided from a full table
	Unserved                 // the bundle has no cascade for what the tap sends
	Unparsed                 // its first packet could not be parsed
	Silent                   // TCP or UDP without payload in either direction
	Unanswered               // its last stage gave no answer: the best label so far
	Suppressed               // the site has asked not to be given this label
	Reasons                  // number of reasons
)

var reasons = [Reasons]string{"accepted", "last_stage", "flow_end", "timeout", "relaxed", "shed", "partial", "evicted", "unserved", "unparsed", "silent", "unanswered", "suppressed"}

func (r Reason) String() string { return reasons[r] }

// ByCascade reports whether the cascade has decided as the bundle says, and not load or
// missing packets.
func (r Reason) ByCascade() bool { return r <= Timeout }

// ReasonNames are the names of all reasons, in their order.
func ReasonNames() []string { return reasons[:] }
