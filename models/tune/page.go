package tune

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"serveflow/models/tune/report"
	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
)

// WriteReport writes the HTML report.
func (r *Result) WriteReport(w io.Writer) error {
	c := r.Candidates
	page := report.Page{
		Title: fmt.Sprintf("%s %s: the cascade and why", c.Name, c.Version),
		Lead: []string{upper(c.Task) + ".",
			"Computing was measured on " + r.Costs.Machine + ". Latency is the time from a flow's first packet to the last one used, by the captures' clock, and the computing of the models that are asked then."},
	}
	for _, choice := range r.Choices {
		page.Parts = append(page.Parts, r.part(choice))
	}
	return page.Write(w)
}

func (r *Result) part(c *Choice) report.Part {
	all := c.measured()
	last := all[len(all)-1]
	p := report.Part{Title: title(c.Events), Text: strings.Split(r.words(c), ".\n")}
	for i, text := range p.Text {
		p.Text[i] = strings.TrimRight(strings.ReplaceAll(text, "\n", " "), ".") + "."
	}
	p.Sections = append(p.Sections, c.table(all))
	if len(c.Alarms) > 0 {
		p.Sections = append(p.Sections, report.Section{Title: "Alarms", Text: strings.ReplaceAll(r.alarmWords(c), "\n", " "), Table: r.alarmTable(c, all)})
	}
	p.Sections = append(p.Sections,
		c.pareto(),
		c.latencies(last),
		c.shares(last),
		c.shortlist(),
		c.reliability(last),
		c.escalation(last),
		c.fields(),
		r.confusion(last),
		c.resplits(),
	)
	return p
}

func (c *Choice) table(all []*Measured) report.Section {
	rows := [][]string{{"sessions", "", "flows", "macro F1", "weighted F1", "known right", "labels right", "background labelled", "coverage", "latency p50", "p90", "p99", "under 16 ms", "sooner by", "computing"}}
	for _, m := range all {
		for _, one := range []struct {
			name string
			Figures
		}{{"cascade", m.Figures}, {c.Models[c.Slow].Name + " alone", m.Slow}, {"oracle", m.Oracle}} {
			rows = append(rows, []string{m.Split, one.name, fmt.Sprint(len(m.Set.Flows)), f3(one.Macro), f3(one.Weighted), percent(one.Known), percent(one.Precision), percent(one.Foreign), percent(one.Coverage),
				ms(one.Median), ms(one.P90), ms(one.P99), percent(one.Under16), fmt.Sprintf("%.1f x", sooner(one.Median, m.Slow.Median)), fmt.Sprintf("%.1f µs", 1e3*one.CPU)})
		}
	}
	return report.Section{
		Title: "Figures",
		Text:  "F1 is over all flows, and unknown counts as wrong. On training sessions models answer that have not seen them. The oracle settles every flow at the first stage that is right about it.",
		Table: rows,
	}
}

func (c *Choice) pareto() report.Section {
	plot := func(x string, single func(search.Single) float64, option func(search.Option) float64) *report.Plot {
		var front, others, found report.Series
		front = report.Series{Name: "candidates on the front", Mark: report.Dots}
		others = report.Series{Name: "other candidates", Mark: report.Dots}
		found = report.Series{Name: "cascades that were searched", Mark: report.Specks}
		for _, s := range c.Singles {
			pt := report.Point{X: single(s), Y: s.Macro, Name: c.Models[s.Candidate].Name}
			if s.Front {
				front.Points = append(front.Points, pt)
			} else {
				others.Points = append(others.Points, pt)
			}
		}
		every := len(c.Searched)/2000 + 1
		for i := 0; i < len(c.Searched); i += every {
			found.Points = append(found.Points, report.Point{X: option(c.Searched[i]), Y: c.Searched[i].Macro})
		}
		series := []report.Series{found, front, others}
		if out := c.Train.Run(c.Models, c.Final); len(c.Final) > 1 {
			p := search.Option{Macro: c.Train.Macro(out.Said), Median: search.Quantile(out.Latency, .5), CPU: out.CPU}
			series = append(series, report.Series{Name: "the cascade", Mark: report.Star, Points: []report.Point{{X: option(p), Y: p.Macro}}})
		}
		return &report.Plot{X: x, Y: "macro F1, training sessions unseen", LogX: true, Series: series}
	}
	return report.Section{
		Title: "Quality against latency and computing",
		Text:  "Up and to the left is better. A candidate is on the front if no other is as good in all of quality, latency and computing.",
		Draw: []report.Drawing{
			plot("median serving latency, ms", func(s search.Single) float64 { return s.Median }, func(p search.Option) float64 { return p.Median }),
			plot("computing, ms a flow", func(s search.Single) float64 { return s.CPU }, func(p search.Option) float64 { return p.CPU }),
		},
	}
}

func (c *Choice) latencies(m *Measured) report.Section {
	cdf := func(name string, mark report.Mark, o *search.Outcome) report.Series {
		sorted := slices.Sorted(slices.Values(o.Latency))
		s := report.Series{Name: name, Mark: mark}
		for k := range 201 {
			i := min(k*len(sorted)/200, len(sorted)-1)
			s.Points = append(s.Points, report.Point{X: max(sorted[i], 1e-3), Y: float64(i+1) / float64(len(sorted))})
		}
		return s
	}
	return report.Section{
		Title: "How soon flows get their label",
		Text:  fmt.Sprintf("Share of the %s flows that have their label by then. Flows that end earlier count to their last packet.", m.Split),
		Draw: []report.Drawing{&report.Plot{
			X: "serving latency, ms", Y: "share of flows", LogX: true, FromY: 0, ToY: 1, At: 16, AtName: "16 ms",
			Series: []report.Series{cdf("cascade", report.Line, m.Cascade), cdf(c.Models[c.Slow].Name+" alone", report.Line, m.SlowRun), cdf("oracle", report.Dashes, m.OracleRun)},
		}},
	}
}

func (c *Choice) shares(m *Measured) report.Section {
	bars := &report.Bars{Parts: []string{"right", "wrong", "unknown"}, Full: 1}
	n := float64(len(m.Set.Flows))
	for k, s := range c.Final {
		parts := make([]float64, 3)
		for i, f := range m.Set.Flows {
			if int(m.Cascade.Stage[i]) == k {
				switch said := int(m.Cascade.Said[i]); said {
				case f.Class:
					parts[0] += 1 / n
				case search.Unknown:
					parts[2] += 1 / n
				default:
					parts[1] += 1 / n
				}
			}
		}
		bars.Bars = append(bars.Bars, report.Bar{Name: c.Models[s.Candidate].Name, Parts: parts,
			Text: fmt.Sprintf("%s, %s wrong", percent(m.Totals[k].Share), percent(m.Totals[k].Wrong))})
	}
	return report.Section{Title: "What each stage settles", Text: fmt.Sprintf("Shares of the %s flows.", m.Split), Draw: []report.Drawing{bars}}
}

func (c *Choice) shortlist() report.Section {
	rows := [][]string{{"cascade", "level", "macro F1, training", "calibration", "median latency", "computing", "promise"}}
	for _, p := range c.Proofs[:min(len(c.Proofs), 20)] {
		rows = append(rows, []string{c.names(p.Cascade, ", "), fmt.Sprintf("%.3g", p.Level), f3(p.Macro), f3(p.Calibration), ms(p.Median), fmt.Sprintf("%.1f µs", 1e3*p.CPU), verdict(p)})
	}
	return report.Section{
		Title: "The short list",
		Text:  fmt.Sprintf("In the order of the tests: first those with the most evidence for half the target on the training sessions. The first that fails ends them, but for those of other candidates, which are tried at a tenth of delta. A level is the share of errors for which thresholds were set on training sessions. The target is %g; of the cascade that was taken, or else of the first, the calibration shows %.3f.", c.search.Target, c.Least),
		Table: rows,
	}
}

func (c *Choice) reliability(m *Measured) report.Section {
	plot := &report.Plot{X: "score", Y: "share that is right", FromX: 0, ToX: 1, FromY: 0, ToY: 1,
		Series: []report.Series{{Name: "a perfect score", Mark: report.Dashes, Points: []report.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}}}}
	for _, s := range c.Final {
		line := report.Series{Name: c.Models[s.Candidate].Name, Mark: report.Line}
		for _, b := range m.Set.Reliability(s.Candidate, 10) {
			if b.Flows >= 10 {
				line.Points = append(line.Points, report.Point{X: b.Score, Y: b.Right})
			}
		}
		plot.Series = append(plot.Series, line)
	}
	return report.Section{
		Title: "Reliability",
		Text:  fmt.Sprintf("How often a model is right by what it says of itself, on every one of the %s flows; bins of ten flows and more. Above the diagonal a model is better than it says.", m.Split),
		Draw:  []report.Drawing{plot},
	}
}

func (c *Choice) escalation(m *Measured) report.Section {
	var draw []report.Drawing
	for _, s := range c.Final[:len(c.Final)-1] {
		confidence, random, oracle := m.Set.Escalation(s.Candidate, c.Slow)
		series := func(name string, mark report.Mark, points []search.Point) report.Series {
			line := report.Series{Name: name, Mark: mark}
			for _, p := range points {
				line.Points = append(line.Points, report.Point{X: p.Share, Y: p.Right})
			}
			return line
		}
		draw = append(draw, &report.Plot{
			X: "share of flows that go on from " + c.Models[s.Candidate].Name + " to " + c.Models[c.Slow].Name, Y: "share that is right", FromX: 0, ToX: 1,
			Series: []report.Series{series("least sure first", report.Line, confidence), series("at random", report.Dashes, random), series("oracle", report.Line, oracle)},
		})
	}
	return report.Section{
		Title: "Accuracy by the share of flows that go on",
		Text:  fmt.Sprintf("Each stage before the last alone with the slow model, on the %s flows. The oracle sends on those first that the one has wrong and the other right.", m.Split),
		Draw:  draw,
	}
}

func (c *Choice) fields() report.Section {
	var draw []report.Drawing
	for k, s := range c.Final {
		bars := &report.Bars{Parts: []string{c.Models[s.Candidate].Name}}
		fields := slices.Clone(c.Importance)
		slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(b.Loss[k], a.Loss[k]) })
		for _, f := range fields[:min(len(fields), 12)] {
			bars.Bars = append(bars.Bars, report.Bar{Name: f.Name, Parts: []float64{f.Loss[k]}, Text: percent(f.Loss[k])})
		}
		draw = append(draw, bars)
	}
	return report.Section{
		Title: "What the models look at",
		Text:  "The share of calibration flows that a model gets right no more when a field, over all its packets and bits, is exchanged between flows.",
		Draw:  draw,
	}
}

func (r *Result) confusion(m *Measured) report.Section {
	labels := r.Candidates.Labels
	matrix := &report.Matrix{Rows: labels, Columns: append(slices.Clone(labels), bundle.UnknownLabel), Count: make([][]int, len(labels))}
	for i := range matrix.Count {
		matrix.Count[i] = make([]int, len(labels)+1)
	}
	for i, f := range m.Set.Flows {
		said := int(m.Cascade.Said[i])
		if said == search.Unknown {
			said = len(labels)
		}
		matrix.Count[f.Class][said]++
	}
	return report.Section{
		Title: "Confusion",
		Text:  fmt.Sprintf("Flows of the %s sessions by their class (rows) and what the cascade says (columns).", m.Split),
		Draw:  []report.Drawing{matrix}, Wide: true,
	}
}

func (c *Choice) resplits() report.Section {
	s := report.Section{Title: "Sessions halved at random"}
	if len(c.Resplits) == 0 {
		return s
	}
	s.Text = strings.ReplaceAll(c.resplitWords(), "\n ", "") + " This describes the data; it proves nothing."
	held, not := report.Series{Name: "promise shown", Mark: report.Dots}, report.Series{Name: "not shown", Mark: report.Dots}
	for _, one := range c.Resplits {
		if pt := (report.Point{X: one.Accepted, Y: one.Error}); one.Held {
			held.Points = append(held.Points, pt)
		} else {
			not.Points = append(not.Points, pt)
		}
	}
	s.Draw = []report.Drawing{&report.Plot{X: "share of flows settled before the last stage, other half", Y: "share of these that is wrong", Series: []report.Series{held, not}, FromY: 0, ToY: c.search.Target * 1.1}}
	return s
}
