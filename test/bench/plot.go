package bench

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// plot is a drawing in SVG. Places from left to right are given from 0 to 1,
// heights as values of its scale.
type plot struct {
	strings.Builder
	low, high float64
	log       bool
}

// The drawing's size and its margins.
const (
	width, height         = 560, 280
	left, right, up, down = 70, 20, 34, 30
)

// colours that most people can distinguish (Okabe and Ito).
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"}

func colour(i int) string { return colours[i%len(colours)] }

func newPlot(title string) *plot {
	p := &plot{}
	fmt.Fprintf(p, `<svg viewBox="0 0 %d %d" role="img"><title>%s</title><text x="%d" y="16" class="title">%s</text>`,
		width, height, html.EscapeString(title), left, html.EscapeString(title))
	return p
}

// scaleY sets the scale and draws its lines.
func (p *plot) scaleY(low, high float64, log bool) {
	if high <= low {
		high = low + 1
	}
	p.low, p.high, p.log = low, high, log
	if log {
		p.low, p.high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
		for v := p.low; v <= p.high*1.0001; v *= 10 {
			p.rule(v)
		}
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(high-low)))
	for (high-low)/step < 4 {
		step /= 2
	}
	p.high = low + step*math.Ceil((high-low)/step)
	for v := low; v <= p.high*1.0001; v += step {
		p.rule(v)
	}
}

func (p *plot) rule(v float64) {
	fmt.Fprintf(p, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="rule"/><text x="%d" y="%.1f" class="y">%s</text>`,
		left, width-right, p.y(v), p.y(v), left-6, p.y(v)+4, strconv.FormatFloat(v, 'f', -1, 64))
}

func (p *plot) x(at float64) float64 { return left + at*(width-left-right) }

func (p *plot) y(v float64) float64 {
	share := (v - p.low) / (p.high - p.low)
	if p.log {
		share = math.Log(max(v, p.low)/p.low) / math.Log(p.high/p.low)
	}
	return height - down - share*(height-up-down)
}

func (p *plot) bar(at, wide, from, to float64, number int) {
	fmt.Fprintf(p, `<rect x="%.1f" width="%.1f" y="%.1f" height="%.1f" fill="%s"/>`,
		p.x(at-wide/2), wide*(width-left-right), p.y(to), p.y(from)-p.y(to), colour(number))
}

func (p *plot) point(at, v float64) {
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="3.5" class="point"/>`, p.x(at), p.y(v))
}

func (p *plot) line(points [][2]float64, number int) {
	fmt.Fprintf(p, `<polyline fill="none" stroke-width="1.5" stroke="%s" points="`, colour(number))
	for _, at := range points {
		fmt.Fprintf(p, "%.1f,%.1f ", p.x(at[0]), p.y(at[1]))
	}
	p.WriteString(`"/>`)
}

func (p *plot) text(at, v float64, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" class="inside">%s</text>`, p.x(at), p.y(v)+4, html.EscapeString(text))
}

func (p *plot) labelX(at float64, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%d" class="x">%s</text>`, p.x(at), height-10, html.EscapeString(text))
}

func (p *plot) legend(number int, text string) {
	fmt.Fprintf(p, `<text x="%d" y="30" fill="%s">%s</text>`, left+80*number, colour(number), html.EscapeString(text))
}

func (p *plot) done() template.HTML {
	p.WriteString("</svg>")
	return template.HTML(p.String())
}
