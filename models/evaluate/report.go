package evaluate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
)

// Report is what an evaluation found. F1 is over all flows that the bundle
// serves, with unknown counted as wrong.
type Report struct {
	Bundle   string `json:"bundle"`
	Captures int    `json:"captures"`
	// Cut names the captures that end inside a packet. What comes before is
	// evaluated.
	Cut      []string `json:"cut,omitempty"`
	Flows    int      `json:"flows"`
	Unserved int      `json:"unserved"` // flows besides, of protocols that the bundle does not serve
	// Unlabelled are flows besides whose true label nobody knows.
	Unlabelled int     `json:"unlabelled"`
	Coverage   float64 `json:"coverage"` // share of flows with another label than unknown
	Scores
	Covered   Scores         `json:"covered"`   // over the covered flows alone
	SlowOnly  SlowOnly       `json:"slow_only"` // the last stage on every flow
	Latency   Latency        `json:"latency"`
	Speedup   float64        `json:"speedup_p50"` // median latency of the last stage alone over the cascade's
	Long      Long           `json:"reaching_all_packets"`
	Accepted  Accepted       `json:"accepted"` // by a stage before the last
	Stages    []StageReport  `json:"stages"`
	Reasons   map[string]int `json:"reasons"` // flows by reason
	Classes   []ClassReport  `json:"classes"`
	Confusion []Confusion    `json:"confusion"` // wrong labels, the most frequent first
}

// SlowOnly is the last stage asked about every flow.
type SlowOnly struct {
	Scores
	Coverage   float64 `json:"coverage"`
	LatencyP50 float64 `json:"latency_p50_ms"`
	Under16ms  float64 `json:"under_16ms"`
}

// Long is the flows that have all the packets that the last stage can use.
type Long struct {
	Flows          int     `json:"flows"`
	LatencyP50     float64 `json:"latency_p50_ms"`
	SlowLatencyP50 float64 `json:"slow_only_latency_p50_ms"`
	Speedup        float64 `json:"speedup_p50"`
}

// StageReport is the flows that one stage decided.
type StageReport struct {
	Name    string  `json:"name"`
	Packets int     `json:"packets"`
	Share   float64 `json:"share"`
	Macro   float64 `json:"f1_macro"`
	Right   float64 `json:"accuracy"`
}

// ClassReport is the flows of one class.
type ClassReport struct {
	Label   string  `json:"label"`
	Flows   int     `json:"flows"`
	Right   float64 `json:"recall"`
	Unknown float64 `json:"unknown"`
}

// Confusion is flows that were given a wrong label.
type Confusion struct {
	Truth string `json:"truth"`
	Given string `json:"given"`
	Flows int    `json:"flows"`
}

func (o Options) report(fast, slow []flowResult) *Report {
	all := len(fast)
	fast, slow = served(fast), served(slow)
	ours := len(fast)
	fast, slow = labelled(fast), labelled(slow)
	r := &Report{
		Bundle: o.Bundle.Name(), Captures: len(o.Captures), Flows: len(fast), Unserved: all - ours, Unlabelled: ours - len(fast),
		Reasons: map[string]int{},
	}
	given, covered := confusion{}, confusion{}
	known := 0
	for i := range fast {
		f := &fast[i]
		given.add(f.truth, f.Label)
		r.Reasons[f.Reason]++
		if f.Label != bundle.UnknownLabel {
			known++
			covered.add(f.truth, f.Label)
		}
	}
	r.Scores, r.Covered = given.scores(), covered.scores()
	r.Coverage = share(known, len(fast))
	r.SlowOnly = slowOnly(slow)
	r.Latency = latency(waits(fast, 0))
	r.Speedup = ratio(r.SlowOnly.LatencyP50, r.Latency.P50)
	c := o.course()
	r.Long = long(fast, slow, c.Packets())
	r.Accepted = accepted(fast, o.promised())
	r.Stages = stages(fast, c)
	r.Classes = classes(fast)
	for pair, n := range given {
		if pair[0] != pair[1] {
			r.Confusion = append(r.Confusion, Confusion{pair[0], pair[1], n})
		}
	}
	slices.SortFunc(r.Confusion, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Flows, a.Flows), strings.Compare(a.Truth, b.Truth), strings.Compare(a.Given, b.Given))
	})
	return r
}

// labelled are the flows whose label is known.
func labelled(flows []flowResult) []flowResult {
	return slices.DeleteFunc(slices.Clone(flows), func(f flowResult) bool { return f.truth == "" })
}

func served(flows []flowResult) []flowResult {
	unserved := cascade.Unserved.String()
	return slices.DeleteFunc(slices.Clone(flows), func(f flowResult) bool { return f.Reason == unserved })
}

func (o Options) course() *cascade.Cascade {
	if o.Meta {
		return o.Bundle.Meta
	}
	return o.Bundle.Packet
}

func slowOnly(slow []flowResult) SlowOnly {
	all, known := confusion{}, 0
	for i := range slow {
		all.add(slow[i].truth, slow[i].Label)
		if slow[i].Label != bundle.UnknownLabel {
			known++
		}
	}
	l := latency(waits(slow, 0))
	return SlowOnly{all.scores(), share(known, len(slow)), l.P50, l.Under16ms}
}

func long(fast, slow []flowResult, packets int) Long {
	ms := waits(fast, packets)
	l := Long{Flows: len(ms), LatencyP50: latency(ms).P50, SlowLatencyP50: latency(waits(slow, packets)).P50}
	l.Speedup = ratio(l.SlowLatencyP50, l.LatencyP50)
	return l
}

// waits are the latencies, in ms, of the flows with at least so many packets.
func waits(flows []flowResult, packets int) (ms []float64) {
	for i := range flows {
		if len(flows[i].trace.Waits) >= packets {
			ms = append(ms, flows[i].ms())
		}
	}
	return ms
}

func stages(flows []flowResult, c *cascade.Cascade) (reports []StageReport) {
	for _, s := range c.Stages {
		own, right, n := confusion{}, 0, 0
		for i := range flows {
			if f := &flows[i]; f.Stage == s.Name {
				n++
				own.add(f.truth, f.Label)
				if f.truth == f.Label {
					right++
				}
			}
		}
		reports = append(reports, StageReport{s.Name, s.Packets, share(n, len(flows)), own.scores().Macro, share(right, n)})
	}
	return reports
}

func classes(flows []flowResult) (reports []ClassReport) {
	count := map[string]*[3]int{} // all, right, unknown
	for i := range flows {
		f := &flows[i]
		c := count[f.truth]
		if c == nil {
			c = new([3]int)
			count[f.truth] = c
		}
		c[0]++
		switch f.Label {
		case f.truth:
			c[1]++
		case bundle.UnknownLabel:
			c[2]++
		}
	}
	for _, label := range slices.Sorted(maps.Keys(count)) {
		c := count[label]
		reports = append(reports, ClassReport{label, c[0], share(c[1], c[0]), share(c[2], c[0])})
	}
	return reports
}

func share(part, whole int) float64 { return ratio(float64(part), float64(whole)) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s on %d flows of %d captures\n", r.Bundle, r.Flows, r.Captures)
	for _, file := range r.Cut {
		fmt.Fprintf(t, "(%s ends inside a packet; what comes before was used)\n", file)
	}
	if r.Unserved > 0 {
		fmt.Fprintf(t, "(and %d flows of protocols that it does not serve)\n", r.Unserved)
	}
	if r.Unlabelled > 0 {
		fmt.Fprintf(t, "(and %d flows whose label nobody knows)\n", r.Unlabelled)
	}
	fmt.Fprintln(t)
	fmt.Fprintf(t, "\tcascade\tlast stage on every flow\n")
	fmt.Fprintf(t, "F1 macro, all flows\t%.3f\t%.3f\n", r.Macro, r.SlowOnly.Macro)
	fmt.Fprintf(t, "F1 weighted, all flows\t%.3f\t%.3f\n", r.Weighted, r.SlowOnly.Weighted)
	fmt.Fprintf(t, "F1 macro, covered flows\t%.3f\t\n", r.Covered.Macro)
	fmt.Fprintf(t, "coverage\t%.1f %%\t%.1f %%\n", 100*r.Coverage, 100*r.SlowOnly.Coverage)
	fmt.Fprintf(t, "latency p50\t%.3f ms\t%.3f ms\n", r.Latency.P50, r.SlowOnly.LatencyP50)
	fmt.Fprintf(t, "latency p90, p99\t%.1f ms, %.1f ms\t\n", r.Latency.P90, r.Latency.P99)
	fmt.Fprintf(t, "under 16 ms\t%.1f %%\t%.1f %%\n", 100*r.Latency.Under16ms, 100*r.SlowOnly.Under16ms)
	fmt.Fprintf(t, "median sooner by\t%.1f x\t\n", r.Speedup)
	fmt.Fprintf(t, "… of %d flows with all packets\t%.1f x\t\n", r.Long.Flows, r.Long.Speedup)
	if len(r.Stages) > 1 {
		fmt.Fprintf(t, "accepted before the last stage\t%.1f %%\t\n", 100*r.Accepted.Share)
		fmt.Fprintf(t, "… of these wrong\t%.1f %%\t\n", 100*r.Accepted.Wrong)
		fmt.Fprintf(t, "… a capture drawn first\t%.1f %%%s\t\n", 100*r.Accepted.SessionsWrong, r.Accepted.promise())
	}
	fmt.Fprintf(t, "\nstage\tpackets\tdecided\tright\tF1 macro\n")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%d\t%5.1f %%  %s\t%.1f %%\t%.3f\n", s.Name, s.Packets, 100*s.Share, bar(s.Share), 100*s.Right, s.Macro)
	}
	fmt.Fprintf(t, "\nclass\tflows\tright\tunknown\n")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t%d\t%5.1f %%  %s\t%.1f %%\n", c.Label, c.Flows, 100*c.Right, bar(c.Right), 100*c.Unknown)
	}
	fmt.Fprintf(t, "\nmost frequent errors\tgiven\tflows\n")
	for _, c := range r.Confusion[:min(len(r.Confusion), 8)] {
		fmt.Fprintf(t, "%s\t%s\t%d\n", c.Truth, c.Given, c.Flows)
	}
	return t.Flush()
}

// bar draws a share, 20 columns wide.
func bar(share float64) string {
	n := int(share*20 + .5)
	return strings.Repeat("█", n) + strings.Repeat("·", 20-n)
}
