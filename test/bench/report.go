package bench

import (
	"math"
	"slices"
	"time"

	"serveflow/models/evaluate"
	"serveflow/sidecar/operate/machine"
)

// Report is what a bench found.
type Report struct {
	Bundle   string    `json:"bundle"`
	Machine  string    `json:"machine"`
	Captures int       `json:"captures"`
	Cores    int       `json:"cores"`  // 0: neither process was bound
	Shards   int       `json:"shards"` // 0: one for each processor
	Modes    []Summary `json:"modes"`
	Ratios   []Ratio   `json:"ratios"`
	Open     []Ratio   `json:"open_loop_ratios,omitempty"` // of the passes at a rate
	Base     []Base    `json:"base,omitempty"`             // the other program, by mode
	Echo     *Echo     `json:"echo,omitempty"`             // where modes are measured at a rate
	Passes   []*Pass   `json:"passes"`                     // in the order in which they were measured
}

// Summary is all passes of a mode.
type Summary struct {
	Mode            Mode      `json:"mode"`
	FlowsPerCPU     Spread    `json:"flows_per_cpu_s"`
	FlowsPerSecond  Spread    `json:"flows_per_s"`
	EventsPerSecond Spread    `json:"events_per_s"`
	Quality         *Quality  `json:"quality,omitempty"` // nil where the truth is not known
	Stages          []Share   `json:"stages"`            // of the flows that a model was asked about
	Reasons         []Share   `json:"reasons"`
	Escalated       float64   `json:"escalated"` // share of flows that the first stage did not settle
	Open            *OpenLoop `json:"open_loop,omitempty"`
}

// OpenLoop is the passes of a mode at a given rate.
type OpenLoop struct {
	Rate          Spread    `json:"flows_per_s"`
	FlowsPerCPU   Spread    `json:"flows_per_cpu_s"`
	EventsPerFlow Spread    `json:"events_per_flow"`
	Compute       Quantiles `json:"compute_ms"`    // the sidecar's: from the arrival of what triggered a decision
	Queue         Quantiles `json:"queue_ms"`      // batches of events until their shard takes them
	Shard         Quantiles `json:"shard_ms"`      // batches of events in their shard
	Model         Quantiles `json:"model_ms"`      // flows from the question to the decision
	RoundTrip     Quantiles `json:"round_trip_ms"` // from the moment a packet was due to its flow's label
	SentLate      Quantiles `json:"sent_late_ms"`  // by how much packets were sent after they were due
}

// Echo is the floor of the machine: how long labels take that come from a program which
// answers the first packet of each flow and does nothing else.
type Echo struct {
	Rate      float64   `json:"flows_per_s"`
	RoundTrip Quantiles `json:"round_trip_ms"`
	SentLate  Quantiles `json:"sent_late_ms"`
}

// Quality is how often labels are right.
type Quality struct {
	evaluate.Scores
	Flows int `json:"flows"`
}

// Share is a part of all flows.
type Share struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Spread is a figure over several passes.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Ratio is the first mode's flows per CPU second over another's, each pair of
// passes that stood next to each other.
type Ratio struct {
	Mode  Mode   `json:"mode"`
	Over  Mode   `json:"over"`
	Ratio Spread `json:"ratio"`
}

// Base is another program in a mode, flat out or at a rate: its flows per CPU second, and this program's over
// those, each pair of passes that stood next to each other.
type Base struct {
	Mode        Mode   `json:"mode"`
	AtRate      bool   `json:"at_rate"` // else flat out
	FlowsPerCPU Spread `json:"flows_per_cpu_s"`
	Ratio       Spread `json:"ratio"`
}

// Quantiles are of latencies, in ms.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
}

// Pass is one sidecar, measured. Figures are of the time between the first
// sample and the last; flows are those that a model was asked about.
type Pass struct {
	Mode            Mode      `json:"mode"`
	Base            bool      `json:"base,omitempty"`      // of the other program
	Offered         float64   `json:"offered_flows_per_s"` // 0: flat out
	Seconds         float64   `json:"seconds"`
	CPU             float64   `json:"cpu_s"`
	Flows           uint64    `json:"flows"`
	FlowsPerCPU     float64   `json:"flows_per_cpu_s"`
	FlowsPerSecond  float64   `json:"flows_per_s"`
	EventsPerSecond float64   `json:"events_per_s"`
	Compute         Quantiles `json:"compute_ms"`
	Queue           Quantiles `json:"queue_ms"`
	Shard           Quantiles `json:"shard_ms"`
	Model           Quantiles `json:"model_ms"`
	RoundTrip       Quantiles `json:"round_trip_ms"` // 0 flat out
	SentLate        Quantiles `json:"sent_late_ms"`  // 0 flat out
	Stages          []Share   `json:"stages"`
	Reasons         []Share   `json:"reasons"`
	Escalated       float64   `json:"escalated"`
	Quality         *Quality  `json:"quality,omitempty"`
	Drops           []Count   `json:"drops"`
	Requests        []Count   `json:"requests,omitempty"` // to inference servers, by how they ended
	RowsPerRequest  float64   `json:"rows_per_request,omitempty"`
	RSS             int64     `json:"rss_bytes"`
	Tracked         int       `json:"tracked_flows"`
	BytesPerFlow    float64   `json:"bytes_per_tracked_flow"` // of what RSS has grown by since there was no flow
	AllocsPerFlow   float64   `json:"allocs_per_flow"`
	GCShare         float64   `json:"gc_share"` // of the CPU time
	// Of all flows sent, warm-up and end included, labels that never came, came
	// twice or to no flow, and differed from the same flow's first.
	Missing   int64  `json:"labels_missing"`
	Twice     uint64 `json:"labels_twice"`
	Differing uint64 `json:"labels_differing"`

	Samples []*Sample    `json:"samples"`
	curve   [][2]float64 // round trip: ms by quantile, for the plot
}

func newReport(o Options) *Report {
	return &Report{Bundle: o.Bundle, Machine: machine.Name(), Captures: len(o.Captures), Cores: o.Cores, Shards: o.Shards}
}

func newPass(mode Mode, g *generator, idle *Sample, samples []*Sample) *Pass {
	first, last := samples[0], samples[len(samples)-1]
	p := &Pass{
		Mode: mode, Offered: g.rate, Samples: samples,
		Seconds: last.Time.Sub(first.Time).Seconds(), CPU: (last.CPU - first.CPU).Seconds(),
		Flows: last.Flows() - first.Flows(),
		RSS:   last.RSS, Tracked: last.Tracked,
		Missing: g.labels.missing(g.begun), Twice: g.labels.twice, Differing: g.labels.differing,
	}
	flows := float64(p.Flows)
	p.FlowsPerCPU, p.FlowsPerSecond = ratio(flows, p.CPU), ratio(flows, p.Seconds)
	p.EventsPerSecond = ratio(float64(last.Events-first.Events), p.Seconds)
	p.Stages, p.Reasons = shares(first, last)
	p.Escalated = 1
	for _, d := range p.Stages {
		if d.Name == idle.Stages[0] {
			p.Escalated -= d.Share
		}
	}
	p.BytesPerFlow = ratio(float64(last.RSS-idle.RSS), float64(last.Tracked))
	p.AllocsPerFlow = ratio(float64(last.Allocs-first.Allocs), flows)
	p.GCShare = ratio(last.GCCPU-first.GCCPU, p.CPU)
	for i, d := range last.Drops {
		if n := d.N - first.Drops[i].N; n > 0 {
			p.Drops = append(p.Drops, Count{d.Name, n})
		}
	}
	requests := 0.0
	for i, d := range last.Requests {
		if n := d.N - first.Requests[i].N; n > 0 {
			p.Requests = append(p.Requests, Count{d.Name, n})
			if d.Name == "ok" {
				requests += float64(n)
			}
		}
	}
	p.RowsPerRequest = ratio(float64(last.Rows-first.Rows), requests)
	p.Compute = bucketQuantiles(first.Compute, last.Compute)
	p.Queue, p.Shard, p.Model = bucketQuantiles(first.Queue, last.Queue), bucketQuantiles(first.Shard, last.Shard), bucketQuantiles(first.Model, last.Model)
	h := &g.labels.latency
	if h.n > 0 {
		p.RoundTrip = h.quantiles()
		for _, q := range curve {
			p.curve = append(p.curve, [2]float64{q, ms(h.quantile(q))})
		}
	}
	if g.late.n > 0 {
		p.SentLate = g.late.quantiles()
	}
	if scores, n := g.labels.scores(); n > 0 && g.schedule.labelled() {
		p.Quality = &Quality{scores, n}
	}
	return p
}

// curve is the quantiles that are drawn.
var curve = []float64{.01, .1, .25, .5, .75, .9, .95, .99, .995, .999, .9995, .9999}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func quantiles(at func(float64) float64) Quantiles {
	return Quantiles{at(.5), at(.9), at(.99), at(.999)}
}

// bucketQuantiles are those of what was counted between two samples, each
// interpolated in its bucket.
func bucketQuantiles(first, last []Bucket) Quantiles {
	if len(last) == 0 {
		return Quantiles{}
	}
	count := func(i int) float64 { return float64(last[i].N - first[i].N) }
	all := count(len(last) - 1)
	return quantiles(func(q float64) float64 {
		below, from := 0.0, 0.0
		for i := range last {
			if n := count(i); n > 0 && n >= q*all {
				share := ratio(q*all-below, n-below)
				return 1e3 * (from + share*(last[i].Seconds-from))
			}
			below, from = count(i), last[i].Seconds
		}
		return 0
	})
}

// shares are those of the flows decided between two samples.
func shares(first, last *Sample) (stages, reasons []Share) {
	all := float64(last.Flows() - first.Flows())
	add := func(to *[]Share, name string, n float64) {
		i := slices.IndexFunc(*to, func(s Share) bool { return s.Name == name })
		if i < 0 {
			i, *to = len(*to), append(*to, Share{Name: name})
		}
		(*to)[i].Share += ratio(n, all)
	}
	for i, d := range last.Decisions {
		if n := float64(d.Flows - first.Decisions[i].Flows); n > 0 && d.Stage != noStage {
			add(&stages, d.Stage, n)
			add(&reasons, d.Reason, n)
		}
	}
	return stages, reasons
}

// sustained is what a mode reached flat out.
func (r *Report) sustained(m Mode) float64 {
	return spread(r.of(m, false), func(p *Pass) float64 { return p.FlowsPerSecond }).Median
}

// of is the passes of a mode, those at a given rate or those flat out.
func (r *Report) of(m Mode, open bool) []*Pass { return r.passes(m, open, false) }

func (r *Report) passes(m Mode, open, base bool) (passes []*Pass) {
	for _, p := range r.Passes {
		if p.Mode == m && (p.Offered > 0) == open && p.Base == base {
			passes = append(passes, p)
		}
	}
	return passes
}

// sum fills in the figures of the modes.
func (r *Report) sum() {
	for _, p := range r.Passes {
		if slices.ContainsFunc(r.Modes, func(s Summary) bool { return s.Mode == p.Mode }) {
			continue
		}
		open, passes := r.of(p.Mode, true), r.main(p.Mode)
		s := Summary{
			Mode:            p.Mode,
			FlowsPerCPU:     spread(passes, func(p *Pass) float64 { return p.FlowsPerCPU }),
			FlowsPerSecond:  spread(passes, func(p *Pass) float64 { return p.FlowsPerSecond }),
			EventsPerSecond: spread(passes, func(p *Pass) float64 { return p.EventsPerSecond }),
			Quality:         passes[0].Quality, Stages: passes[0].Stages, Reasons: passes[0].Reasons,
			Escalated: passes[0].Escalated,
		}
		if len(open) > 0 {
			s.Open = &OpenLoop{
				Rate:          spread(open, func(p *Pass) float64 { return p.FlowsPerSecond }),
				FlowsPerCPU:   spread(open, func(p *Pass) float64 { return p.FlowsPerCPU }),
				EventsPerFlow: spread(open, func(p *Pass) float64 { return ratio(p.EventsPerSecond, p.FlowsPerSecond) }),
				Compute:       medians(open, func(p *Pass) Quantiles { return p.Compute }),
				Queue:         medians(open, func(p *Pass) Quantiles { return p.Queue }),
				Shard:         medians(open, func(p *Pass) Quantiles { return p.Shard }),
				Model:         medians(open, func(p *Pass) Quantiles { return p.Model }),
				RoundTrip:     medians(open, func(p *Pass) Quantiles { return p.RoundTrip }),
				SentLate:      medians(open, func(p *Pass) Quantiles { return p.SentLate }),
			}
		}
		r.Modes = append(r.Modes, s)
		for _, atRate := range []bool{false, true} {
			if base := r.passes(p.Mode, atRate, true); len(base) > 0 {
				r.Base = append(r.Base, Base{
					Mode: p.Mode, AtRate: atRate, FlowsPerCPU: spread(base, func(p *Pass) float64 { return p.FlowsPerCPU }),
					Ratio: ratios(r.of(p.Mode, atRate), base),
				})
			}
		}
	}
	for i := 1; i < len(r.Modes); i++ {
		a, b := r.Modes[0].Mode, r.Modes[i].Mode
		r.Ratios = append(r.Ratios, Ratio{a, b, ratios(r.main(a), r.main(b))})
		if open := r.of(a, true); len(open) > 0 {
			r.Open = append(r.Open, Ratio{a, b, ratios(open, r.of(b, true))})
		}
	}
}

// main is the passes of a mode by which it is judged: flat out, or at the given rate.
func (r *Report) main(m Mode) []*Pass {
	if passes := r.of(m, false); len(passes) > 0 {
		return passes
	}
	return r.of(m, true)
}

// ratios are those of flows per CPU second, of passes that stood next to each other.
func ratios(passes, over []*Pass) Spread {
	var all []float64
	for i := range min(len(passes), len(over)) {
		all = append(all, ratio(passes[i].FlowsPerCPU, over[i].FlowsPerCPU))
	}
	return spread(all, func(f float64) float64 { return f })
}

func spread[T any](all []T, of func(T) float64) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = of(one)
	}
	slices.Sort(values)
	n := len(values)
	return Spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

// medians are over passes, quantile by quantile.
func medians(passes []*Pass, of func(*Pass) Quantiles) Quantiles {
	one := func(pick func(Quantiles) float64) float64 {
		return spread(passes, func(p *Pass) float64 { return pick(of(p)) }).Median
	}
	return Quantiles{
		one(func(q Quantiles) float64 { return q.P50 }), one(func(q Quantiles) float64 { return q.P90 }),
		one(func(q Quantiles) float64 { return q.P99 }), one(func(q Quantiles) float64 { return q.P999 }),
	}
}

// ratio is 0 where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 || math.IsNaN(a/b) {
		return 0
	}
	return a / b
}
