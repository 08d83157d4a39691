package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the report for people; its last line is the one figure that
// says it all.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %d captures, %s\n%s\n\n", r.Bundle, r.Captures, r.bound(), r.Machine)
	fmt.Fprint(t, "mode\tflows/CPU s\t(min, max)\tflows/s\tevents/s\tGC\tallocs/flow\tRSS MiB\ttracked\tB/tracked\tF1 macro\tF1 weighted\n")
	for i := range r.Modes {
		m := &r.Modes[i]
		p := r.typical(m.Mode)
		fmt.Fprintf(t, "%s\t%.0f\t(%.0f, %.0f)\t%.0f\t%.0f\t%.1f %%\t%.2f\t%d\t%d\t%.0f\t%s\n", m.Mode,
			m.FlowsPerCPU.Median, m.FlowsPerCPU.Min, m.FlowsPerCPU.Max, m.FlowsPerSecond.Median, m.EventsPerSecond.Median,
			100*p.GCShare, p.AllocsPerFlow, p.RSS>>20, p.Tracked, p.BytesPerFlow, m.Quality.text())
	}
	fmt.Fprintf(t, "\nmode\tescalated\tdecided by\n")
	for _, m := range r.Modes {
		fmt.Fprintf(t, "%s\t%.1f %%\t%s\n\t\t%s\n", m.Mode, 100*m.Escalated, list(m.Stages), list(m.Reasons))
	}
	fmt.Fprintf(t, "\nmode\tdrops\n")
	for _, m := range r.Modes {
		fmt.Fprintf(t, "%s\t%s\n", m.Mode, counts(r.typical(m.Mode).Drops))
	}
	r.writeRequests(t)
	r.writeOpen(t)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range r.Passes {
		if p.Missing != 0 || p.Twice > 0 || p.Differing > 0 {
			fmt.Fprintf(w, "\nWRONG: %s: of all flows, labels missing %d, twice %d, differing %d\n", p.Mode, p.Missing, p.Twice, p.Differing)
		}
	}
	for i, b := range r.Base {
		if i == 0 {
			fmt.Fprintln(w)
		}
		name := string(b.Mode)
		if b.AtRate {
			name += " at a rate"
		}
		fmt.Fprintf(w, "%s: %.2f times (%.2f, %.2f) the base, which does %.0f (%.0f, %.0f)\n", name,
			b.Ratio.Median, b.Ratio.Min, b.Ratio.Max, b.FlowsPerCPU.Median, b.FlowsPerCPU.Min, b.FlowsPerCPU.Max)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.headline())
	return err
}

// writeOpen writes what was measured at a rate.
func (r *Report) writeOpen(w io.Writer) {
	for i, m := range r.Modes {
		if m.Open == nil {
			continue
		}
		if i == 0 {
			fmt.Fprint(w, "\nas taps that stop at the label\tat flows/s\tflows/CPU s\t(min, max)\tpackets and ends a flow\tratio\n")
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t(%.0f, %.0f)\t%.2f", m.Mode, m.Open.Rate.Median,
			m.Open.FlowsPerCPU.Median, m.Open.FlowsPerCPU.Min, m.Open.FlowsPerCPU.Max, m.Open.EventsPerFlow.Median)
		if i > 0 {
			x := r.Open[i-1].Ratio
			fmt.Fprintf(w, "\t%.2f (%.2f, %.2f)", x.Median, x.Min, x.Max)
		}
		fmt.Fprintln(w)
	}
	head := "\nmode\tat flows/s\tlatency ms\tp50\tp90\tp99\tp99.9\n"
	for _, m := range r.Modes {
		if m.Open == nil {
			continue
		}
		fmt.Fprint(w, head)
		head = ""
		fmt.Fprintf(w, "%s\t%.0f\tcompute\t%s\n", m.Mode, m.Open.Rate.Median, m.Open.Compute.text())
		fmt.Fprintf(w, "\t\tin queue\t%s\n", m.Open.Queue.text())
		fmt.Fprintf(w, "\t\tin shard\t%s\n", m.Open.Shard.text())
		fmt.Fprintf(w, "\t\tfor model\t%s\n", m.Open.Model.text())
		fmt.Fprintf(w, "\t\tround trip\t%s\n", m.Open.RoundTrip.text())
		fmt.Fprintf(w, "\t\tsent late\t%s\n", m.Open.SentLate.text())
	}
	if e := r.Echo; e != nil {
		fmt.Fprintf(w, "echo\t%.0f\tround trip\t%s\n", e.Rate, e.RoundTrip.text())
		fmt.Fprintf(w, "\t\tsent late\t%s\n", e.SentLate.text())
	}
}

// headline is flows per CPU second, and the ratio.
func (r *Report) headline() string {
	line := "flows per CPU second:"
	for i, m := range r.Modes {
		if i > 0 {
			line += ","
		}
		line += fmt.Sprintf(" %s %.0f", m.Mode.title(), m.FlowsPerCPU.Median)
	}
	for i, x := range r.Ratios {
		if i == 0 {
			line += ", ratio"
		}
		line += fmt.Sprintf(" %.2f", x.Ratio.Median)
	}
	return line
}

func (m Mode) title() string {
	if m == Cascade {
		return string(m)
	}
	return string(m) + "-only"
}

// typical is the last pass of a mode flat out, or at a rate if there is none.
func (r *Report) typical(m Mode) *Pass {
	passes := r.main(m)
	return passes[len(passes)-1]
}

func (r *Report) bound() string {
	if r.Cores == 0 {
		return "sidecar and generator on any processor"
	}
	return fmt.Sprintf("sidecar bound to %d of the processors", r.Cores)
}

func (q *Quality) text() string {
	if q == nil {
		return "-\t-"
	}
	return fmt.Sprintf("%.3f\t%.3f", q.Macro, q.Weighted)
}

func (q Quantiles) text() string {
	return fmt.Sprintf("%.3f\t%.3f\t%.3f\t%.3f", q.P50, q.P90, q.P99, q.P999)
}

// writeRequests writes what inference servers were asked, if they were.
func (r *Report) writeRequests(w io.Writer) {
	head := "\nmode\trows a request\trequests\n"
	for _, m := range r.Modes {
		if p := r.typical(m.Mode); len(p.Requests) > 0 {
			fmt.Fprintf(w, "%s%s\t%.1f\t%s\n", head, m.Mode, p.RowsPerRequest, counts(p.Requests))
			head = ""
		}
	}
}

// counts lists what was not used, or how requests ended. Late packets are those of
// flows that have their label, which a tap of a capture sends all the same.
func counts(all []Count) string {
	text := ""
	for i, d := range all {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", d.Name, d.N)
	}
	if text == "" {
		return "none"
	}
	return text
}

func list(shares []Share) (text string) {
	for i, s := range shares {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %.1f %%", s.Name, 100*s.Share)
	}
	return text
}
