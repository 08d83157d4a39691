package tune

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"serveflow/sidecar/bundle"
)

// datasheet is the text of the bundle's datasheet, in Markdown.
func (r *Result) datasheet() string {
	var b strings.Builder
	c := r.Candidates
	fmt.Fprintf(&b, "# %s %s\n\n", c.Name, c.Version)
	fmt.Fprintf(&b, "%s. Trained by `models/train`, chosen and measured by `serveflow tune`.\n\n", upper(c.Task))
	fmt.Fprintf(&b, "## What it is for\n\n%s\n\n", strings.TrimSpace(c.Text.Use))
	fmt.Fprintf(&b, "## What it must not be used for, and where it fails\n\n%s\n\n", strings.TrimSpace(c.Text.Limits))
	if len(c.Alarms) > 0 {
		fmt.Fprintf(&b, "Alarms, the labels that an analyst acts on: %s.\n\n", strings.Join(c.Alarms, ", "))
	}
	if len(c.Attack) > 0 {
		fmt.Fprintf(&b, "Techniques of MITRE ATT&CK that they may be a sign of: %s.\n\n", strings.Join(c.Attack.Words(), "; "))
	}
	if c.Background != "" {
		fmt.Fprintf(&b, "`%s` means: surely none of the other labels; `%s`: not sure.\n\n", c.Background, bundle.UnknownLabel)
	}
	fmt.Fprintf(&b, "## Data\n\n%s\n\n", strings.TrimSpace(c.Text.Data))
	fmt.Fprintf(&b, "- Source: %s.\n- Licence: %s.\n- To cite: %s.\n\n", c.Provenance.Data, c.Provenance.Licence, c.Provenance.Citation)
	rows := [][]string{{"split", "sessions", "flows"}}
	for _, m := range r.Choices[0].measured() {
		rows = append(rows, []string{m.Split, fmt.Sprint(m.Sessions), fmt.Sprint(len(m.Set.Flows))})
	}
	markdown(&b, rows)
	if len(c.Features.Protocols) > 0 {
		fmt.Fprintf(&b, "Flows are Zeek's, of %s; the sidecar leaves others unserved, and they count in none of\nthe figures.", strings.Join(c.Features.Protocols, " and "))
	}
	fmt.Fprintf(&b, " A flow that ends, or is quiet for %d s, before a stage has its packets is decided by\nthe last stage on what there is.\n\n", c.Features.IdleTimeout)
	fmt.Fprintf(&b, `## How it was chosen

Models are trained on the training sessions. Cascade and thresholds are chosen on the same
sessions, each judged by models trained without it; the calibration sessions show the promise and
have a say in below which scores the last stage says %s; the test sessions measure, and nothing is chosen
on them. Times are packet time and, from %s, the computing of the models asked
(%s).

`, "`unknown`", "`"+CostsFile+"`", r.Costs.Machine)
	for _, choice := range r.Choices {
		r.describe(&b, choice)
	}
	r.byClass(&b)
	o := &r.Options
	truth := "--label LABEL"
	if known := o.Captures[0].Flows; known != nil {
		truth = "--labels " + filepath.Base(known.Path)
	}
	fmt.Fprintf(&b, "## To make it again\n\nFrom the captures, and the candidates that `models/train/train.py` trains on them: the same file for file.\n\n")
	fmt.Fprintf(&b, "```sh\nserveflow tune --candidates candidates --manifest manifest.csv %s --costs %s \\\n    --objective %s --max-loss %g --target-error %g --meta-target-error %g --delta %g --stages %d%s --output %s\n```\n",
		truth, CostsFile, o.Objective, o.MaxLoss, o.target("packet"), o.target("meta"), o.Delta, o.Stages, r.limitFlags(), c.Name)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// limitFlags are the flags of tune for limits and alarms.
func (r *Result) limitFlags() (flags string) {
	o := &r.Options
	for _, f := range []struct {
		name  string
		value float64
	}{{"budget", rate(o.Limits.Budget)}, {"cover", round(100*o.Limits.Cover, 1e3)}, {"precision", round(100*o.Limits.Precision, 1e3)}, {"foreign", round(100*o.Limits.Foreign, 1e3)}} {
		flags += fmt.Sprintf(" --%s %g", f.name, f.value)
	}
	if o.Alarms != nil {
		flags += " --alarms " + strings.Join(o.Alarms, ",")
	}
	return flags
}

func (r *Result) describe(b *strings.Builder, c *Choice) {
	fmt.Fprintf(b, "## %s\n\n", title(c.Events))
	fmt.Fprintf(b, "%s\n\n", r.words(c))
	rows := [][]string{{"stage", "packets", "trained with", "computing"}}
	for _, s := range c.Final {
		one := c.Candidates[s.Candidate]
		rows = append(rows, []string{one.Name, fmt.Sprint(one.Packets), one.About, fmt.Sprintf("%.1f µs", 1e3*c.Models[s.Candidate].Cost)})
	}
	markdown(b, rows)
	head := []string{"split", "", "macro F1", "weighted F1", "coverage", "latency p50", "p90", "under 16 ms"}
	rows = [][]string{head}
	slow := c.Models[c.Slow].Name
	all := c.measured()
	for _, m := range all[1:] {
		for _, one := range []struct {
			name string
			Figures
		}{{"cascade", m.Figures}, {slow + " alone", m.Slow}, {"oracle", m.Oracle}} {
			rows = append(rows, []string{m.Split, one.name, f3(one.Macro), f3(one.Weighted), percent(one.Coverage),
				ms(one.Median), ms(one.P90), percent(one.Under16)})
		}
	}
	markdown(b, rows)
	fmt.Fprintf(b, "F1 is over all flows, `unknown` counts as wrong. The oracle settles every flow at the first stage that\nis right about it.\n\n")
	for _, m := range all[1:] {
		fmt.Fprintf(b, "- %s: the median label comes %.1f times sooner than from %s alone (oracle: %.0f times). Of the %d flows\n  with all %d packets: %.1f times, %s against %s.\n",
			upper(m.Split), sooner(m.Figures.Median, m.Slow.Median), slow, sooner(m.Oracle.Median, m.Slow.Median),
			m.Long, c.Models[c.Slow].Packets, sooner(m.LongFast, m.LongSlow), ms(m.LongFast), ms(m.LongSlow))
	}
	fmt.Fprintf(b, "%s\n", r.givenWords(c, all[1:]))
	if len(c.Alarms) > 0 {
		fmt.Fprintf(b, "### Alarms\n\n%s\n\n", r.alarmWords(c))
		markdown(b, r.alarmTable(c, all))
	}
	if len(c.Final) < 2 {
		return
	}
	rows = [][]string{{"stage"}}
	for k := range c.Final {
		row := []string{c.Models[c.Final[k].Candidate].Name}
		for _, m := range all[1:] {
			if k == 0 {
				rows[0] = append(rows[0], m.Split+" settled", "wrong")
			}
			row = append(row, percent(m.Totals[k].Share), percent(m.Totals[k].Wrong))
		}
		rows = append(rows, row)
	}
	markdown(b, rows)
	for _, m := range all[1:] {
		fmt.Fprintf(b, "- %s: %s of the flows are settled before the last stage, %s of these wrong; with a session drawn first\n  and then a flow of it, as in the promise: %s, and %s wrong.\n",
			upper(m.Split), percent(m.Accepted), percent(m.Wrong), percent(m.SessionsAccepted), percent(m.SessionsWrong))
	}
	if len(c.Resplits) > 0 {
		fmt.Fprintf(b, "- %s\n\n", c.resplitWords())
	}
}

// resplitWords sums up the re-splits.
func (c *Choice) resplitWords() string {
	shown, over := 0, 0
	var errs []float64
	for _, s := range c.Resplits {
		errs = append(errs, s.Error)
		if s.Held {
			shown++
			if s.Error > c.search.Target {
				over++
			}
		}
	}
	slices.Sort(errs)
	return fmt.Sprintf("%d random halvings of the sessions it was not chosen on: one half shows the promise\n  in %d; in %d of these the other half has an error over the target. Error of the other half: median %s, largest %s.",
		len(c.Resplits), shown, over, percent(errs[len(errs)/2]), percent(errs[len(errs)-1]))
}

// byClass is the table of F1 by class, on the last of the sets.
func (r *Result) byClass(b *strings.Builder) {
	rows := [][]string{{"class", "flows"}}
	for k, label := range r.Candidates.Labels {
		row := []string{label, ""}
		for _, c := range r.Choices {
			all := c.measured()
			m := all[len(all)-1]
			fast, flows := m.Set.ByClass(m.Cascade.Said)
			slow, _ := m.Set.ByClass(m.SlowRun.Said)
			if k == 0 {
				of := ""
				if c.Events == "meta" {
					of = ", no headers"
				}
				rows[0] = append(rows[0], "cascade"+of, c.Models[c.Slow].Name)
				if len(r.Choices) > 0 && c == r.Choices[0] {
					fmt.Fprintf(b, "## F1 by class, %s\n\n", m.Split)
				}
			}
			row[1] = fmt.Sprint(flows[k])
			row = append(row, f3(fast[k]), f3(slow[k]))
		}
		rows = append(rows, row)
	}
	markdown(b, rows)
}

func title(events string) string {
	if events == "meta" {
		return "Taps that see no headers (META)"
	}
	return "Taps that send headers"
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func f3(v float64) string { return fmt.Sprintf("%.3f", v) }

// markdown writes a table whose first row is its head.
func markdown(b *strings.Builder, rows [][]string) {
	for i, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	b.WriteByte('\n')
}
