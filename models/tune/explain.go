package tune

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"serveflow/models/tune/search"
)

// WriteText tells what was chosen, and why.
func (r *Result) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.Choices {
		r.explain(t, c)
	}
	return t.Flush()
}

func (r *Result) explain(w io.Writer, c *Choice) {
	slow := c.Singles[c.Slow]
	fmt.Fprintf(w, "%s\n\n", title(c.Events))
	if c.Unlabelled > 0 {
		fmt.Fprintf(w, "(%d flows whose label nobody knows are left out)\n\n", c.Unlabelled)
	}
	fmt.Fprintf(w, "candidate\tF1 macro\tmedian latency\tcomputing\ton the front\n")
	for _, s := range byMedian(c.Singles) {
		front := ""
		if s.Front {
			front = "yes"
		}
		fmt.Fprintf(w, "%s\t%.3f\t%s\t%.1f µs\t%s\n", c.Models[s.Candidate].Name, s.Macro, ms(s.Median), 1e3*s.CPU, front)
	}
	fmt.Fprintf(w, "\n%s\n", r.words(c))
	fmt.Fprintf(w, "\nshort list\tF1 macro, training\tcalibration\tpromise\tmedian latency\n")
	for _, p := range c.Proofs[:min(len(c.Proofs), 8)] {
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%s\t%s\n", c.names(p.Cascade, ", "), p.Macro, p.Calibration, verdict(p), ms(p.Median))
	}
	for _, m := range c.measured() {
		fmt.Fprintf(w, "\n%s: %d flows of %d sessions\tcascade\t%s alone\toracle\n", m.Split, len(m.Set.Flows), m.Sessions, c.Models[slow.Candidate].Name)
		fmt.Fprintf(w, "F1 macro\t%.3f\t%.3f\t%.3f\n", m.Figures.Macro, m.Slow.Macro, m.Oracle.Macro)
		fmt.Fprintf(w, "known kinds right\t%s\t%s\t%s\n", percent(m.Figures.Known), percent(m.Slow.Known), percent(m.Oracle.Known))
		fmt.Fprintf(w, "labels given that are right\t%s\t%s\t%s\n", percent(m.Figures.Precision), percent(m.Slow.Precision), percent(m.Oracle.Precision))
		fmt.Fprintf(w, "background that gets one\t%s\t%s\t%s\n", percent(m.Figures.Foreign), percent(m.Slow.Foreign), percent(m.Oracle.Foreign))
		fmt.Fprintf(w, "median latency\t%s\t%s\t%s\n", ms(m.Figures.Median), ms(m.Slow.Median), ms(m.Oracle.Median))
		fmt.Fprintf(w, "sooner by\t%.1f x\t\t%.1f x\n", sooner(m.Figures.Median, m.Slow.Median), sooner(m.Oracle.Median, m.Slow.Median))
		fmt.Fprintf(w, "under 16 ms\t%s\t%s\t%s\n", percent(m.Figures.Under16), percent(m.Slow.Under16), percent(m.Oracle.Under16))
		fmt.Fprintf(w, "computing\t%.1f µs\t%.1f µs\t\n", 1e3*m.Figures.CPU, 1e3*m.Slow.CPU)
		for k, s := range c.Final {
			fmt.Fprintf(w, "settled by %s\t%s\twrong: %s\t\n", c.Models[s.Candidate].Name, percent(m.Totals[k].Share), percent(m.Totals[k].Wrong))
		}
		if m.Split == trainSplit {
			fmt.Fprintln(w, "(by models that have not seen the session)\t\t\t")
		}
	}
	if len(c.Alarms) > 0 {
		fmt.Fprintf(w, "\n%s\n\n", r.alarmWords(c))
		for _, row := range r.alarmTable(c, c.measured()) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
	}
}

// words explains the choice.
func (r *Result) words(c *Choice) string {
	o := &r.Options
	slow := c.Models[c.Slow].Name
	if len(c.Proofs) == 0 {
		return fmt.Sprintf("None of %d settings of cascades accepts flows with fewer errors than promised and keeps macro F1\nwithin %g of %s on the training sessions.\nThe bundle has %s alone.", len(c.Searched), o.MaxLoss, slow, slow)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d settings of cascades keep macro F1 within %g of %s on the training sessions,\njudged by models that have not seen them, also when the sessions are resampled.\n",
		len(c.Proofs), len(c.Searched), o.MaxLoss, slow)
	held := 0
	for _, p := range c.Proofs {
		if p.Holds {
			held++
		}
	}
	promise := fmt.Sprintf("a flow that is settled before the last stage is wrong with probability at\nmost %g %%, a session being drawn at random and then a flow of it", round(100*c.search.Target, 1e3))
	n := c.Calibration.Sessions()
	switch {
	case c.Proved:
		fmt.Fprintf(&b, "Of %d of these, %d calibration sessions show the promise with confidence %g %%:\n%s.\nOf those that keep the limits and macro F1 there as well, the objective %q chooses\n%s.\n", held, n, round(100*(1-o.Delta), 1e3), promise, o.Objective, c.names(c.Final, ", then "))
	case held > 0:
		fmt.Fprintf(&b, "Of %d of these, %d calibration sessions show the promise, but none keeps the limits and macro F1 within\n%g of %s there. The bundle has %s alone.\n", held, n, o.MaxLoss, slow, slow)
	default:
		fmt.Fprintf(&b, "%d calibration sessions do not show, with confidence %g %%, that\n%s.\nThe bundle has %s alone. The least that they show of the first, %s, is %.1f %%:\ncalibrate on more sessions, or promise less (--target-error, --meta-target-error).\n", n, round(100*(1-o.Delta), 1e3), promise, slow, c.names(c.Proofs[0].Cascade, ", then "), 100*c.Least)
	}
	return strings.TrimRight(b.String(), "\n")
}

// names are the names of a cascade's models.
func (c *Choice) names(cascade search.Cascade, between string) string {
	var names []string
	for _, s := range cascade {
		names = append(names, c.Models[s.Candidate].Name)
	}
	return strings.Join(names, between)
}

func byMedian(singles []search.Single) []search.Single {
	return slices.SortedStableFunc(slices.Values(singles), func(a, b search.Single) int {
		return cmp.Or(cmp.Compare(a.Median, b.Median), cmp.Compare(a.Macro, b.Macro))
	})
}

// verdict says whether a promise was shown.
func verdict(p search.Proof) string {
	switch {
	case p.Holds:
		return "shown"
	case p.Tested:
		return "not shown"
	}
	return "not tried"
}
