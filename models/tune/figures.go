package tune

import "serveflow/models/tune/search"

// Figures are what a cascade, or the slow model alone, comes to on a set.
type Figures struct {
	Macro, Weighted float64 // F1 over all flows, unknown is wrong
	Coverage        float64 // share of flows that get a label
	Median          float64 // serving latency in ms
	P90, P99        float64
	Under16         float64 // share of flows under 16 ms
	CPU             float64 // ms a flow
	search.Given
}

// Measured is everything that a choice comes to on one set.
type Measured struct {
	Split            string
	Set              *search.Set
	Sessions         int
	Cascade          *search.Outcome
	Figures          Figures
	Slow             Figures // the slow model on every flow
	Oracle           Figures // every flow settled by the first stage that is right
	SlowRun          *search.Outcome
	OracleRun        *search.Outcome
	Long             int // flows that have all packets of the slow model
	LongFast         float64
	LongSlow         float64 // medians of these, ms
	Totals           []total
	Alarms           []search.AlarmCount
	Accepted         float64 // share of flows that a stage before the last settles
	Wrong            float64 // share of these that are wrong
	SessionsAccepted float64 // the same, a session drawn first
	SessionsWrong    float64
}

// measured are the figures of the sets, test last.
func (c *Choice) measured() []*Measured {
	var all []*Measured
	for _, s := range []struct {
		split string
		set   *search.Set
	}{{trainSplit, c.Train}, {calibrationSplit, c.Calibration}, {testSplit, c.Test}} {
		if len(s.set.Flows) > 0 {
			all = append(all, c.on(s.split, s.set))
		}
	}
	return all
}

func (c *Choice) on(split string, s *search.Set) *Measured {
	m := &Measured{Split: split, Set: s, Sessions: s.Sessions()}
	m.Cascade, m.SlowRun, m.OracleRun = s.Run(c.Models, c.Final), s.Run(c.Models, c.Alone), s.Oracle(c.Models, c.Final)
	m.Figures, m.Slow, m.Oracle = figures(s, m.Cascade), figures(s, m.SlowRun), figures(s, m.OracleRun)
	m.Totals = totals(s, m.Cascade, len(c.Final))
	last := len(c.Final) - 1
	m.Alarms = s.Alarms(m.Cascade)
	accepted := s.Accepted(m.Cascade, 0, last)
	m.SessionsWrong, m.SessionsAccepted = search.Error(accepted)
	n, wrong := 0., 0.
	for _, one := range accepted {
		n, wrong = n+one.Accepted, wrong+one.Wrong
	}
	m.Accepted, m.Wrong = n/float64(len(s.Flows)), wrong/max(n, 1)
	var fast, slow []float64
	for i, f := range s.Flows {
		if len(f.Waits) >= c.Models[c.Slow].Packets {
			fast, slow = append(fast, m.Cascade.Latency[i]), append(slow, m.SlowRun.Latency[i])
		}
	}
	m.Long, m.LongFast, m.LongSlow = len(fast), search.Quantile(fast, .5), search.Quantile(slow, .5)
	return m
}

func figures(s *search.Set, o *search.Outcome) Figures {
	f := Figures{
		Macro: s.Macro(o.Said), Weighted: s.Weighted(o.Said), CPU: o.CPU, Given: s.Given(o.Said),
		Median: search.Quantile(o.Latency, .5), P90: search.Quantile(o.Latency, .9), P99: search.Quantile(o.Latency, .99),
	}
	n := float64(len(s.Flows))
	for i := range s.Flows {
		if o.Said[i] != search.Unknown {
			f.Coverage += 1 / n
		}
		if o.Latency[i] < 16 {
			f.Under16 += 1 / n
		}
	}
	return f
}

// sooner is how many times the median latency a is lower than b.
func sooner(a, b float64) float64 {
	if a <= 0 {
		return 0
	}
	return b / a
}
