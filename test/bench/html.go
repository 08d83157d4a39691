package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
	"whole":   func(f float64) string { return fmt.Sprintf("%.0f", f) },
	"two":     func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"three":   func(f float64) string { return fmt.Sprintf("%.3f", f) },
	"mib":     func(bytes int64) int64 { return bytes >> 20 },
}).Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	return page.Execute(w, map[string]any{
		"Report": r, "Bound": r.bound(), "Headline": r.headline(),
		"CPU": r.plotCPU(), "Stages": r.plotStages(), "Latency": r.plotLatency(),
		"Flows":  r.plotTime("flows per second", flowsOverTime),
		"Memory": r.plotTime("RSS, MiB", memoryOverTime),
	})
}

// plotCPU has a bar for each mode and a point for each pass.
func (r *Report) plotCPU() template.HTML {
	p := newPlot("flows per CPU second")
	top := 0.0
	for _, m := range r.Modes {
		top = max(top, m.FlowsPerCPU.Max)
	}
	p.scaleY(0, top, false)
	for i, m := range r.Modes {
		x := (float64(i) + .5) / float64(len(r.Modes))
		p.bar(x, .5/float64(len(r.Modes)), 0, m.FlowsPerCPU.Median, i)
		passes := r.of(m.Mode, false)
		if len(passes) == 0 {
			passes = r.of(m.Mode, true)
		}
		for _, pass := range passes {
			p.point(x, pass.FlowsPerCPU)
		}
		p.labelX(x, fmt.Sprintf("%s %.0f", m.Mode, m.FlowsPerCPU.Median))
	}
	return p.done()
}

// plotStages stacks the shares of the stages of each mode.
func (r *Report) plotStages() template.HTML {
	p := newPlot("share of flows by the stage that decided")
	p.scaleY(0, 1, false)
	for i, m := range r.Modes {
		x, from := (float64(i)+.5)/float64(len(r.Modes)), 0.0
		for k, s := range m.Stages {
			p.bar(x, .5/float64(len(r.Modes)), from, from+s.Share, k)
			p.text(x, from+s.Share/2, fmt.Sprintf("%s %.1f %%", s.Name, 100*s.Share))
			from += s.Share
		}
		p.labelX(x, string(m.Mode))
	}
	return p.done()
}

// plotLatency draws the round trip by quantile, nines evenly spaced.
func (r *Report) plotLatency() template.HTML {
	p := newPlot("round trip at a given rate, ms, by quantile")
	low, high, any := math.Inf(1), 0.0, false
	for _, pass := range r.Passes {
		for _, at := range pass.curve {
			low, high, any = min(low, at[1]), max(high, at[1]), true
		}
	}
	if !any {
		return ""
	}
	p.scaleY(max(low, 1e-3), high, true)
	nines := func(q float64) float64 { return -math.Log10(1-q) / 4 }
	for i, m := range r.Modes {
		for _, pass := range r.of(m.Mode, true) {
			var line [][2]float64
			for _, at := range pass.curve {
				line = append(line, [2]float64{nines(at[0]), at[1]})
			}
			p.line(line, i)
		}
		p.legend(i, string(m.Mode))
	}
	for _, q := range []float64{.5, .9, .99, .999, .9999} {
		p.labelX(nines(q), fmt.Sprintf("%g", q))
	}
	return p.done()
}

func flowsOverTime(before, s *Sample) float64 {
	return ratio(float64(s.Flows()-before.Flows()), s.Time.Sub(before.Time).Seconds())
}

func memoryOverTime(_, s *Sample) float64 { return float64(s.RSS) / (1 << 20) }

// plotTime draws a figure over the time of all passes.
func (r *Report) plotTime(title string, value func(before, s *Sample) float64) template.HTML {
	p := newPlot(title + ", over seconds")
	top, longest := 0.0, time.Duration(0)
	for _, pass := range r.Passes {
		for i, s := range pass.Samples[1:] {
			top = max(top, value(pass.Samples[i], s))
			longest = max(longest, s.Time.Sub(pass.Samples[0].Time))
		}
	}
	p.scaleY(0, top, false)
	for i, m := range r.Modes {
		for _, pass := range append(r.of(m.Mode, false), r.of(m.Mode, true)...) {
			var line [][2]float64
			for k, s := range pass.Samples[1:] {
				x := ratio(float64(s.Time.Sub(pass.Samples[0].Time)), float64(longest))
				line = append(line, [2]float64{x, value(pass.Samples[k], s)})
			}
			p.line(line, i)
		}
		p.legend(i, string(m.Mode))
	}
	p.labelX(1, fmt.Sprintf("%.0f s", longest.Seconds()))
	return p.done()
}
