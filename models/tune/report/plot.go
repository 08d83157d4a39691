package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Point is a point of a plot, with a name where it is worth one.
type Point struct {
	X, Y float64
	Name string
}

// Mark says how the points of a series are drawn.
type Mark int

// The marks.
const (
	Line Mark = iota
	Dashes
	Dots
	Specks // many small dots
	Star
)

// Series is points of one kind.
type Series struct {
	Name   string
	Mark   Mark
	Points []Point
}

// Plot is points and lines in a frame. Axes span what is drawn, and what From and
// To add.
type Plot struct {
	X, Y       string // what the axes show
	LogX       bool   // points at or below zero stand at the left edge
	Series     []Series
	FromX, ToX float64 // the least span of the axis, if ToX is above FromX
	FromY, ToY float64
	At         float64 // a vertical line, if not 0
	AtName     string
}

// The size of a plot and of its margins, in user units.
const (
	plotWidth, plotHeight = 640, 380
	left, right           = 60, 26
	top, bottom           = 16, 52
)

var colours = []string{"#1f5fa8", "#c2410c", "#2f7d32", "#7b3fa0", "#8a6d00", "#00707a"}

type axis struct {
	from, to float64
	log      bool
	a, b     float64 // places on the page
}

func (a axis) value(v float64) float64 {
	if a.log {
		return math.Log10(v)
	}
	return v
}

func (a axis) place(v float64) float64 {
	v = min(max(v, a.from), a.to)
	return a.a + (a.value(v)-a.value(a.from))/(a.value(a.to)-a.value(a.from))*(a.b-a.a)
}

// ticks are round values along the axis.
func (a axis) ticks() []float64 {
	var all []float64
	if a.log {
		for e := math.Ceil(math.Log10(a.from) - 1e-9); e <= math.Log10(a.to)+1e-9; e++ {
			all = append(all, math.Pow(10, e))
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10((a.to-a.from)/4)))
	for _, f := range []float64{1, 2, 5, 10} {
		if (a.to-a.from)/(step*f) <= 6 {
			step *= f
			break
		}
	}
	for n := math.Ceil(a.from/step - 1e-9); n*step <= a.to+1e-9*step; n++ {
		all = append(all, n*step)
	}
	return all
}

// span is an axis over values.
func span(values []float64, from, to float64, log bool, a, b float64) axis {
	if to > from {
		values = append(values, from, to)
	}
	if log {
		values = slices.DeleteFunc(values, func(v float64) bool { return v <= 0 })
	}
	x := axis{from: 0, to: 1, log: log, a: a, b: b}
	if len(values) > 0 {
		x.from, x.to = slices.Min(values), slices.Max(values)
	}
	switch {
	case log:
		x.from, x.to = math.Pow(10, math.Floor(math.Log10(max(x.from, 1e-9)))), math.Pow(10, math.Ceil(math.Log10(max(x.to, 1e-8))))
		if x.from == x.to {
			x.to *= 10
		}
	case to > from && x.from >= from && x.to <= to: // as asked for
	default:
		pad := max((x.to-x.from)*.06, 1e-3)
		x.from, x.to = x.from-pad, x.to+pad
	}
	return x
}

// number writes a tick.
func number(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}

// svg draws the plot.
func (p *Plot) svg() string {
	var xs, ys []float64
	for _, s := range p.Series {
		for _, pt := range s.Points {
			xs, ys = append(xs, pt.X), append(ys, pt.Y)
		}
	}
	x := span(xs, p.FromX, p.ToX, p.LogX, left, plotWidth-right)
	y := span(ys, p.FromY, p.ToY, false, plotHeight-bottom, top)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s by %s">`, plotWidth, plotHeight, html.EscapeString(p.Y), html.EscapeString(p.X))
	for _, t := range x.ticks() {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`,
			x.place(t), x.place(t), top, plotHeight-bottom, x.place(t), plotHeight-bottom+16, number(t))
	}
	for _, t := range y.ticks() {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="tick" text-anchor="end" x="%d" y="%.1f">%s</text>`,
			left, plotWidth-right, y.place(t), y.place(t), left-6, y.place(t)+4, number(t))
	}
	fmt.Fprintf(&b, `<text class="axis" text-anchor="middle" x="%d" y="%d">%s</text>`, (left+plotWidth-right)/2, plotHeight-14, html.EscapeString(p.X))
	fmt.Fprintf(&b, `<text class="axis" text-anchor="middle" transform="translate(14 %d) rotate(-90)">%s</text>`, (top+plotHeight-bottom)/2, html.EscapeString(p.Y))
	if p.At != 0 {
		fmt.Fprintf(&b, `<line class="at" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="tick" x="%.1f" y="%d">%s</text>`,
			x.place(p.At), x.place(p.At), top, plotHeight-bottom, x.place(p.At)+4, top+12, html.EscapeString(p.AtName))
	}
	for i, s := range p.Series {
		drawSeries(&b, s, colours[i%len(colours)], x, y)
	}
	b.WriteString(`</svg>`)
	return b.String() + legend(p.Series)
}

func drawSeries(b *strings.Builder, s Series, colour string, x, y axis) {
	if s.Mark == Line || s.Mark == Dashes {
		dash := ""
		if s.Mark == Dashes {
			dash = ` stroke-dasharray="6 4"`
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2"%s points="`, colour, dash)
		for _, p := range s.Points {
			fmt.Fprintf(b, "%.1f,%.1f ", x.place(p.X), y.place(p.Y))
		}
		b.WriteString(`"/>`)
		return
	}
	named := placer{}
	for _, p := range s.Points {
		px, py := x.place(p.X), y.place(p.Y)
		switch s.Mark {
		case Specks:
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="1.6" fill="%s" fill-opacity=".35"/>`, px, py, colour)
		case Star:
			fmt.Fprintf(b, `<path d="%s" fill="%s" stroke="#fff"/>`, star(px, py, 9), colour)
		default:
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, px, py, colour)
		}
		if p.Name != "" {
			at := named.free(px, py)
			anchor, dx := "start", 8.
			if px > plotWidth*.75 {
				anchor, dx = "end", -8
			}
			fmt.Fprintf(b, `<text class="name" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, anchor, px+dx, at+4, html.EscapeString(p.Name))
		}
	}
}

// placer keeps names from lying upon each other.
type placer [][2]float64

func (p *placer) free(x, y float64) float64 {
	for _, off := range []float64{0, -12, 12, -24, 24, -36, 36} {
		if !slices.ContainsFunc(*p, func(o [2]float64) bool { return math.Abs(o[0]-x) < 90 && math.Abs(o[1]-y-off) < 11 }) {
			y += off
			break
		}
	}
	*p = append(*p, [2]float64{x, y})
	return y
}

func star(x, y, r float64) string {
	var b strings.Builder
	for i := range 10 {
		angle, size := math.Pi*float64(i)/5, r
		if i%2 == 1 {
			size = r * .45
		}
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", letter, x+size*math.Sin(angle), y-size*math.Cos(angle))
	}
	return b.String() + "Z"
}

func legend(series []Series) string {
	var b strings.Builder
	b.WriteString(`<p class="legend">`)
	for i, s := range series {
		if s.Name != "" {
			fmt.Fprintf(&b, `<span><i style="background:%s"></i>%s</span>`, colours[i%len(colours)], html.EscapeString(s.Name))
		}
	}
	return b.String() + `</p>`
}
