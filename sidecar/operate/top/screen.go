package top

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"serveflow/sidecar/operate/terminal"
)

// Screen returns the view of what happened between two samples, in lines of at most so
// many columns and in at most so many lines. Without a sample before, it is of all since
// the sidecar's start.
func Screen(before, now Sample, columns, lines int) string {
	s := between(before, now)
	v := &view{columns: columns}
	v.head(s)
	v.line("")
	v.latency(s)
	stages := v.stages(s)
	lost := v.losses(s)
	// What is left of the screen is for the labels.
	room := lines - len(v.all) - len(stages) - len(lost) - 4
	v.line("")
	v.labels(s, max(room, 3))
	v.all = append(v.all, stages...)
	v.all = append(v.all, lost...)
	if lines = max(lines, 0); len(v.all) > lines {
		v.all = v.all[:lines]
	}
	return strings.Join(v.all, "\n") + "\n"
}

type view struct {
	columns int
	all     []string
}

func (v *view) cut(text string) string {
	text = terminal.Clean(text)
	if utf8.RuneCountInString(text) > v.columns {
		return string([]rune(text)[:max(v.columns-1, 0)]) + "…"
	}
	return text
}

func (v *view) line(format string, args ...any) {
	v.all = append(v.all, v.cut(fmt.Sprintf(format, args...)))
}

func (v *view) head(s span) {
	now := s.now
	state := "well"
	if !now.Well {
		state = "NOT WELL"
	}
	up := now.At.Sub(time.UnixMilli(int64(now.Metrics.Sum("process_start_time_seconds") * 1000))).Round(time.Second)
	v.line("serveflow %s  %s  up %v  %s", now.Status.Version, now.Status.Bundle, up, state)
	for _, text := range now.Health {
		if text != "ok" {
			v.line("  %s", text)
		}
	}
	eve := ""
	if n := now.Status.EVEConnections; n != nil {
		eve = fmt.Sprintf("  EVE connections %d", *n)
	}
	v.line("taps %d%s  flows now %.0f  memory %.0f MiB  load level %.0f of 5", len(now.Status.Taps), eve,
		now.Metrics.Sum("serveflow_flows"), now.Metrics.Sum("process_resident_memory_bytes")/(1<<20), now.Metrics.Sum("serveflow_load_level"))
	if name := now.Status.Shadow; name != "" {
		flows := now.Metrics.By("serveflow_shadow_flows_total", "result")
		v.line("shadow %s  agrees on %.1f %% of %.0f flows since its start", name,
			100*flows["agrees"]/max(flows["agrees"]+flows["differs"], 1), flows["agrees"]+flows["differs"])
	}
	v.line("in %v: packets %s/s  flows %s/s  decisions %s/s", time.Duration(s.seconds*float64(time.Second)).Round(time.Second),
		rate(s.packets(), s.seconds), rate(s.grown("serveflow_flows_total"), s.seconds), rate(s.grown("serveflow_decisions_total"), s.seconds))
}

func (s span) packets() (n float64) {
	for _, kind := range s.by("serveflow_events_total", "kind") {
		if kind.name == "packet" || kind.name == "meta" {
			n += kind.n
		}
	}
	return n
}

func (v *view) latency(s span) {
	v.line("%-34s %9s %9s %9s", "LATENCY", "median", "90 %", "99 %")
	for _, h := range [][2]string{
		{"serveflow_serving_latency_seconds", "from the first packet to the label"},
		{"serveflow_compute_latency_seconds", "of computing"},
	} {
		v.line("%-34s %9s %9s %9s", h[1], duration(s.quantile(h[0], .5)), duration(s.quantile(h[0], .9)), duration(s.quantile(h[0], .99)))
	}
}

func (v *view) labels(s span, room int) {
	all := s.by("serveflow_labels_total", "label")
	v.table("LABEL", all, room, s)
}

func (v *view) table(title string, all []count, room int, s span) {
	total, widest := 0.0, 0
	for _, c := range all {
		total += c.n
		widest = max(widest, utf8.RuneCountInString(c.name))
	}
	widest = max(min(widest, 34), 20)
	v.line("%-*s %9s %8s", widest, title, "flows/s", "share")
	for i, c := range all {
		if i == room {
			v.line("… and %d more", len(all)-room)
			return
		}
		bar := 0
		if share := c.n / total; share >= 0 { // whatever answers may say that it is infinite
			bar = int(20*share + .5)
		}
		v.line("%-*s %9s %6.1f %%  %s", widest, c.name, rate(c.n, s.seconds), 100*c.n/total, strings.Repeat("█", bar))
	}
	if len(all) == 0 {
		v.line("none")
	}
}

// stages returns the lines of the stages and of the reasons.
func (v *view) stages(s span) []string {
	inner := &view{columns: v.columns}
	inner.line("")
	inner.table("STAGE", s.by("serveflow_decisions_total", "stage"), 6, s)
	inner.line("")
	inner.table("REASON", s.by("serveflow_decisions_total", "reason"), 6, s)
	return inner.all
}

// losses returns the lines of what was lost: since the sidecar's start, as losses are rare.
func (v *view) losses(s span) []string {
	inner := &view{columns: v.columns}
	total, recent := s.now.Metrics.By("serveflow_drops_total", "reason"), map[string]float64{}
	for _, c := range s.by("serveflow_drops_total", "reason") {
		recent[c.name] = c.n
	}
	inner.line("")
	inner.line("%-20s %9s %12s", "NOT USED", "/s", "since start")
	for _, c := range (span{now: s.now}).by("serveflow_drops_total", "reason") {
		inner.line("%-20s %9s %12.0f", c.name, rate(recent[c.name], s.seconds), total[c.name])
	}
	if len(inner.all) == 2 {
		inner.line("nothing")
	}
	return inner.all
}

func rate(n, seconds float64) string {
	switch r := n / seconds; {
	case r >= 100:
		return fmt.Sprintf("%.0f", r)
	case r >= 10:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.2f", r)
	}
}

func duration(seconds float64) string {
	if math.IsNaN(seconds) {
		return "-"
	}
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	default:
		d = d.Round(100 * time.Nanosecond)
	}
	return d.String()
}
