// Package top shows what a sidecar does, from its metrics, on a terminal: what the flows
// of the last seconds were, which stages decided them and how soon, and what was lost.
package top

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"serveflow/sidecar/operate/scrape"
	"serveflow/sidecar/operate/telemetry"
)

// Sample is a sidecar at one moment.
type Sample struct {
	At      time.Time
	Well    bool
	Health  []string
	Status  telemetry.Status
	Metrics scrape.Metrics
}

// Take asks a sidecar.
func Take(ctx context.Context, c *scrape.Client) (s Sample, err error) {
	s.At = time.Now()
	if s.Well, s.Health, err = c.Health(ctx); err != nil {
		return s, err
	}
	if s.Status, err = c.Status(ctx); err != nil {
		return s, err
	}
	s.Metrics, err = c.Metrics(ctx)
	return s, err
}

// span is what has happened between two samples.
type span struct {
	before, now Sample
	seconds     float64
}

// between returns the span from before to now. Without a sample before, or one of
// another run of the sidecar, it reaches from the sidecar's start.
func between(before, now Sample) span {
	const start = "process_start_time_seconds"
	if before.Metrics == nil || before.Metrics.Sum(start) != now.Metrics.Sum(start) {
		before = Sample{At: time.UnixMilli(int64(now.Metrics.Sum(start) * 1000))}
	}
	return span{before, now, max(now.At.Sub(before.At).Seconds(), 1e-3)}
}

// count is a name and how often it came.
type count struct {
	name string
	n    float64
}

// by returns what a counter has grown by, for each value of a label, the most first.
// What has not grown is left out.
func (s span) by(metric, label string) (all []count) {
	before := s.before.Metrics.By(metric, label)
	for name, n := range s.now.Metrics.By(metric, label) {
		if n -= before[name]; n > 0 {
			all = append(all, count{name, n})
		}
	}
	slices.SortFunc(all, func(a, b count) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	return all
}

func (s span) grown(metric string) float64 {
	return max(0, s.now.Metrics.Sum(metric)-s.before.Metrics.Sum(metric))
}

// quantile returns that of a histogram's samples in the span, in seconds, between the
// bounds of its bucket by proportion; NaN without samples.
func (s span) quantile(metric string, q float64) float64 {
	bounds, counts := s.now.Metrics.Buckets(metric)
	_, before := s.before.Metrics.Buckets(metric)
	for i := range counts {
		if i < len(before) {
			counts[i] -= before[i]
		}
	}
	if len(counts) == 0 || counts[len(counts)-1] <= 0 {
		return math.NaN()
	}
	rank := q * counts[len(counts)-1]
	low, below := 0.0, 0.0
	for i, bound := range bounds {
		if counts[i] >= rank {
			if math.IsInf(bound, 1) {
				return low
			}
			return low + (bound-low)*(rank-below)/max(counts[i]-below, 1)
		}
		low, below = bound, counts[i]
	}
	return low
}
