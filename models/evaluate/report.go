package evaluate

import (
	"cmp"
	"slices"
	"strings"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
)

// Report is what an evaluation found. F1 is over the kinds of flows that the bundle
// knows, with unknown counted as wrong.
type Report struct {
	Bundle   string `json:"bundle"`
	Captures int    `json:"captures"`
	// Cut names the captures that stop before their end, cut or damaged. What
	// comes before is evaluated.
	Cut []string `json:"cut,omitempty"`
	// Unread says which captures cannot be read, and why. They are left out.
	Unread   []string `json:"unread,omitempty"`
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
	OpenSet   OpenSet        `json:"open_set"`
	Long      Long           `json:"reaching_all_packets"`
	Accepted  Accepted       `json:"accepted"` // by a stage before the last
	Stages    []StageReport  `json:"stages"`
	Reasons   map[string]int `json:"reasons"` // flows by reason
	Kinds     []KindReport   `json:"kinds"`
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

// KindReport is the flows of one kind, by the ground truth.
type KindReport struct {
	Label    string `json:"label"`
	Flows    int    `json:"flows"`
	Captures int    `json:"captures"`
	Known    bool   `json:"known"` // the bundle has a label for some of them; else they are background
	// Right is the share with the label of their kind; of background, with none.
	Right          float64 `json:"recall"`
	RightByCapture float64 `json:"recall_by_capture"` // with one vote for each capture
	Near           float64 `json:"near"`              // the label is neither right nor wrong
	Unknown        float64 `json:"unknown"`           // of background, these are right
	Background     float64 `json:"background"`        // the label is that of the background; of background, right
	Wrong          float64 `json:"wrong"`
	// Given counts the labels given that are not right.
	Given map[string]int `json:"given,omitempty"`
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
	j := newJudge(o.Bundle.Manifest)
	j.judge(fast)
	j.judge(slow)
	weigh(fast)
	wrong := confusion{}
	for i := range fast {
		f := &fast[i]
		r.Reasons[f.Reason]++
		if !f.right {
			wrong.add(f.truth, f.Label)
		}
	}
	r.Scores, r.Covered = j.scores(fast), j.scores(covered(fast))
	r.Coverage = share(len(covered(fast)), len(fast))
	r.SlowOnly = slowOnly(slow, j)
	r.Latency = latency(waits(fast, 0))
	r.Speedup = ratio(r.SlowOnly.LatencyP50, r.Latency.P50)
	r.OpenSet = openSet(fast)
	c := o.course()
	r.Long = long(fast, slow, c.Packets())
	r.Accepted = accepted(fast, o.promised())
	r.Stages = stages(fast, c, j)
	r.Kinds = kindReports(fast, j.background)
	for pair, n := range wrong {
		r.Confusion = append(r.Confusion, Confusion{pair[0], pair[1], n})
	}
	slices.SortFunc(r.Confusion, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Flows, a.Flows), strings.Compare(a.Truth, b.Truth), strings.Compare(a.Given, b.Given))
	})
	return r
}

// covered are the flows with another label than unknown.
func covered(flows []flowResult) []flowResult {
	return slices.DeleteFunc(slices.Clone(flows), func(f flowResult) bool { return f.Label == bundle.UnknownLabel })
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

func slowOnly(slow []flowResult, j *judge) SlowOnly {
	l := latency(waits(slow, 0))
	return SlowOnly{j.scores(slow), share(len(covered(slow)), len(slow)), l.P50, l.Under16ms}
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

func stages(flows []flowResult, c *cascade.Cascade, j *judge) (reports []StageReport) {
	for _, s := range c.Stages {
		own := slices.DeleteFunc(slices.Clone(flows), func(f flowResult) bool { return f.Stage != s.Name })
		right := 0
		for i := range own {
			if own[i].right {
				right++
			}
		}
		reports = append(reports, StageReport{s.Name, s.Packets, share(len(own), len(flows)), j.scores(own).Macro, share(right, len(own))})
	}
	return reports
}

// kindReports are of the kinds that are known, and then of the others, each by name.
func kindReports(flows []flowResult, background string) (reports []KindReport) {
	of := map[string][]*flowResult{}
	for i := range flows {
		of[flows[i].truth] = append(of[flows[i].truth], &flows[i])
	}
	for label, own := range of {
		r := KindReport{Label: label, Flows: len(own), Captures: captures(own), Given: map[string]int{}}
		right := shareOf(own, func(f *flowResult) bool { return f.right })
		r.Right, r.RightByCapture = right.ByFlow, right.ByCapture
		r.Near = shareOf(own, func(f *flowResult) bool { return f.near }).ByFlow
		r.Unknown = shareOf(own, func(f *flowResult) bool { return f.Label == bundle.UnknownLabel }).ByFlow
		r.Background = shareOf(own, func(f *flowResult) bool { return f.Label == background }).ByFlow
		r.Wrong = shareOf(own, (*flowResult).wrong).ByFlow
		for _, f := range own {
			r.Known = r.Known || f.known
			if !f.right && !f.none {
				r.Given[f.Label]++
			}
		}
		reports = append(reports, r)
	}
	slices.SortFunc(reports, func(a, b KindReport) int {
		switch {
		case a.Known && !b.Known:
			return -1
		case b.Known && !a.Known:
			return 1
		}
		return strings.Compare(a.Label, b.Label)
	})
	return reports
}

func share(part, whole int) float64 { return ratio(float64(part), float64(whole)) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
