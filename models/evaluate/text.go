package evaluate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s on %d flows of %d captures\n", r.Bundle, r.Flows, r.Captures)
	for _, file := range r.Cut {
		fmt.Fprintf(t, "(%s ends inside a packet; what comes before was used)\n", file)
	}
	for _, why := range r.Unread {
		fmt.Fprintf(t, "(%s; it was left out)\n", why)
	}
	if r.Unserved > 0 {
		fmt.Fprintf(t, "(and %d flows of protocols that it does not serve)\n", r.Unserved)
	}
	if r.Unlabelled > 0 {
		fmt.Fprintf(t, "(and %d flows whose label nobody knows)\n", r.Unlabelled)
	}
	r.writeCascade(t)
	r.OpenSet.write(t)
	r.writeKinds(t)
	r.OpenSet.writeGroups(t)
	return t.Flush()
}

func (r *Report) writeCascade(t io.Writer) {
	fmt.Fprintf(t, "\n\tcascade\tlast stage on every flow\n")
	if r.OpenSet.All.KnownRight.Flows > 0 {
		fmt.Fprintf(t, "F1 macro, all flows\t%.3f\t%.3f\n", r.Macro, r.SlowOnly.Macro)
		fmt.Fprintf(t, "F1 weighted, all flows\t%.3f\t%.3f\n", r.Weighted, r.SlowOnly.Weighted)
		fmt.Fprintf(t, "F1 macro, covered flows\t%.3f\t\n", r.Covered.Macro)
	}
	fmt.Fprintf(t, "coverage\t%s\t%s\n", percent(r.Coverage), percent(r.SlowOnly.Coverage))
	fmt.Fprintf(t, "latency p50\t%.3f ms\t%.3f ms\n", r.Latency.P50, r.SlowOnly.LatencyP50)
	fmt.Fprintf(t, "latency p90, p99\t%.1f ms, %.1f ms\t\n", r.Latency.P90, r.Latency.P99)
	fmt.Fprintf(t, "under 16 ms\t%s\t%s\n", percent(r.Latency.Under16ms), percent(r.SlowOnly.Under16ms))
	fmt.Fprintf(t, "median sooner by\t%.1f x\t\n", r.Speedup)
	fmt.Fprintf(t, "… of %d flows with all packets\t%.1f x\t\n", r.Long.Flows, r.Long.Speedup)
	if len(r.Stages) > 1 {
		fmt.Fprintf(t, "accepted before the last stage\t%s\t\n", percent(r.Accepted.Share))
		fmt.Fprintf(t, "… of these wrong\t%s\t\n", percent(r.Accepted.Wrong))
		fmt.Fprintf(t, "… a capture drawn first\t%s%s\t\n", percent(r.Accepted.SessionsWrong), r.Accepted.promise())
	}
	fmt.Fprintf(t, "\nstage\tpackets\tdecided\tright\tF1 macro\n")
	asked := 0.
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%d\t%s  %s\t%s\t%.3f\n", s.Name, s.Packets, percent(s.Share), bar(s.Share), percent(s.Right), s.Macro)
		asked += s.Share
	}
	if none := 1 - asked; r.Flows > 0 && none > 1e-9 {
		fmt.Fprintf(t, "no model asked\t\t%s  %s\t\t\n", percent(none), bar(none))
	}
}

// write writes the shares, those of natural captures beside those of all, and the
// alarms.
func (o *OpenSet) write(t io.Writer) {
	sets := []*Figures{&o.All}
	head := "\nlabels\tflows\tshare\ta vote each capture"
	if o.Natural != nil {
		sets = append(sets, o.Natural)
		head = "\n\tall captures\t\t\treal mixtures\t\t\nlabels\tflows\tshare\ta vote each capture\tflows\tshare\ta vote each capture"
	}
	fmt.Fprintln(t, head)
	for _, row := range []struct {
		name string
		of   func(*Figures) Share
	}{
		{"kinds that it knows: right", func(f *Figures) Share { return f.KnownRight }},
		{"… unknown or background", func(f *Figures) Share { return f.KnownNone }},
		{"… another label", func(f *Figures) Share { return f.KnownWrong }},
		{"background: a label all the same", func(f *Figures) Share { return f.Background }},
		{"labels given: right", func(f *Figures) Share { return f.Precision }},
		{"… right or near", func(f *Figures) Share { return f.WithNear }},
		{"labels accepted early, of all flows", func(f *Figures) Share { return f.Accepted }},
		{"… of these wrong", func(f *Figures) Share { return f.AcceptWrong }},
		{"… of these wrong, kinds that it knows", func(f *Figures) Share { return f.AcceptWrongK }},
	} {
		if row.of(&o.All).Flows == 0 {
			continue
		}
		fmt.Fprint(t, row.name)
		for _, f := range sets {
			fmt.Fprint(t, "\t", row.of(f))
		}
		fmt.Fprintln(t)
	}
	if o.All.Alarms.Given == 0 && o.All.Alarms.Meant == 0 {
		return
	}
	for _, row := range []struct {
		name string
		of   func(*Alarms) string
	}{
		{"ordinary flows", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.Ordinary) }},
		{"… with a false alarm", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.False) }},
		{"… of 10,000", func(a *Alarms) string { return fmt.Sprintf("\t%5.0f\t%5.0f", a.Per10000, a.Per10000ByCapture) }},
		{"… captures with one", func(a *Alarms) string { return fmt.Sprintf("%5d of %d\t\t", a.CapturesFalse, a.Captures) }},
		{"alarms given", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.Given) }},
		{"… of these right", func(a *Alarms) string {
			return fmt.Sprintf("%5d\t%s\t", a.Right, Share{Flows: a.Given, ByFlow: share(a.Right, a.Given)}.byFlow())
		}},
		{"flows that alarms are meant for", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.Meant) }},
		{"… named right", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.MeantRight) }},
		{"… any alarm", func(a *Alarms) string { return fmt.Sprintf("%5d\t\t", a.MeantAlarm) }},
	} {
		fmt.Fprint(t, row.name)
		for _, f := range sets {
			fmt.Fprint(t, "\t", row.of(&f.Alarms))
		}
		fmt.Fprintln(t)
	}
	if o.All.Alarms.Given > 0 {
		fmt.Fprintf(t, "\nalarm\tgiven\tright\taccepted early\twrong on\n")
	}
	for _, a := range o.All.Alarms.Labels {
		fmt.Fprintf(t, "%s\t%5d\t%5d\t%5d\t%s\n", a.Label, a.Given, a.Right, a.Accepted, Most(a.WrongOn, 4))
	}
}

func (r *Report) writeKinds(t io.Writer) {
	heading := func(first string) {
		fmt.Fprintf(t, "\n%s\tflows\tcaptures\tright\ta vote each capture\tunknown\tgiven instead\n", first)
	}
	if len(r.Kinds) > 0 && r.Kinds[0].Known {
		heading("kind")
	}
	background := false
	for _, k := range r.Kinds {
		if !k.Known && !background {
			background = true
			heading("background")
		}
		fmt.Fprintf(t, "%s\t%5d\t%5d\t%s  %s\t%s\t%s\t%s\n", k.Label, k.Flows, k.Captures, percent(k.Right), bar(k.Right),
			percent(k.RightByCapture), percent(k.Unknown), Most(k.Given, 3))
	}
}

func (o *OpenSet) writeGroups(t io.Writer) {
	if len(o.Groups) == 0 {
		return
	}
	fmt.Fprintf(t, "\nsource\tflows\tcaptures\tkinds it knows\tright\tbackground\tlabelled\tlabels given\tright\tfalse alarms\n")
	for _, g := range o.Groups {
		fmt.Fprintf(t, "%s\t%5d\t%5d\t%5d\t%s\t%5d\t%s\t%5d\t%s\t%5d\n", g.Name, g.Flows, g.Captures, g.KnownRight.Flows, g.KnownRight.byFlow(),
			g.Background.Flows, g.Background.byFlow(), g.Precision.Flows, g.Precision.byFlow(), g.Alarms.False)
	}
}

// String returns the share as cells of a table.
func (s Share) String() string {
	if s.Flows == 0 {
		return "    0\t    –\t    –"
	}
	return fmt.Sprintf("%5d\t%s\t%s", s.Flows, percent(s.ByFlow), percent(s.ByCapture))
}

func (s Share) byFlow() string {
	if s.Flows == 0 {
		return "    –"
	}
	return percent(s.ByFlow)
}

func percent(share float64) string { return fmt.Sprintf("%5.1f %%", 100*share) }

// Most names the most frequent, with their counts.
func Most(count map[string]int, n int) string {
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b))
	})
	var text []string
	for _, name := range names[:min(len(names), n)] {
		text = append(text, fmt.Sprintf("%s %d", name, count[name]))
	}
	return strings.Join(text, ", ")
}

// bar draws a share, 20 columns wide.
func bar(share float64) string {
	n := int(share*20 + .5)
	return strings.Repeat("█", n) + strings.Repeat("·", 20-n)
}
