package search

import "math"

// votes gives every flow a weight, 1 on average, so that neither one chatty session
// decides nor one large source: halfway, as the square root is, between a vote a
// flow and a vote a session, and between a vote a session and a vote a source.
// Sessions of which nobody says whose they are count as one source.
func (s *Set) votes() []float64 {
	size := s.sizes()
	source := make([]int, len(size))
	for _, f := range s.Flows {
		source[f.Session] = f.Source
	}
	sessions := map[int]float64{}
	for session := range source {
		sessions[source[session]]++
	}
	votes, sum := make([]float64, len(s.Flows)), 0.0
	for i, f := range s.Flows {
		votes[i] = 1 / math.Sqrt(size[f.Session]*sessions[f.Source])
		sum += votes[i]
	}
	for i := range votes {
		votes[i] *= float64(len(votes)) / sum
	}
	return votes
}
