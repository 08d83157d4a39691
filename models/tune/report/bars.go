package report

import (
	"fmt"
	"html"
	"strings"
)

// Bar is a bar of one or more parts.
type Bar struct {
	Name  string
	Parts []float64
	Text  string // after the bar
}

// Bars are bars below each other.
type Bars struct {
	Parts []string // what the parts are
	Bars  []Bar
	Full  float64 // what the whole width is; 0: the longest bar
}

// svg draws the bars.
func (p *Bars) svg() string {
	const row, nameWidth, textWidth = 22, 150, 110
	full := p.Full
	for _, bar := range p.Bars {
		if p.Full == 0 {
			full = max(full, sum(bar.Parts))
		}
	}
	if full <= 0 {
		full = 1
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, plotWidth, row*len(p.Bars)+8)
	for i, bar := range p.Bars {
		y, x := float64(row*i+4), float64(nameWidth)
		fmt.Fprintf(&b, `<text class="name" text-anchor="end" x="%d" y="%.1f">%s</text>`, nameWidth-8, y+14, html.EscapeString(bar.Name))
		for k, part := range bar.Parts {
			w := max(part, 0) / full * (plotWidth - nameWidth - textWidth)
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, x, y+2, w, row-6, colours[k%len(colours)])
			x += w
		}
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">%s</text>`, x+6, y+14, html.EscapeString(bar.Text))
	}
	b.WriteString(`</svg>`)
	var parts []Series
	for _, name := range p.Parts {
		parts = append(parts, Series{Name: name})
	}
	return b.String() + legend(parts)
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += max(v, 0)
	}
	return total
}

// Matrix counts flows by their kind (rows) and their label (columns).
type Matrix struct {
	Rows, Columns []string
	Count         [][]int
}

// svg draws the matrix; the shade of a cell is its share of the row.
func (m *Matrix) svg() string {
	const name, head = 140, 130
	cell := min(max((900-name)/max(len(m.Columns), 1), 16), 44)
	width, height := name+cell*len(m.Columns)+70, head+cell*len(m.Rows)+10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="wide" viewBox="0 0 %d %d" role="img" aria-label="confusion matrix">`, width, height)
	for k, label := range m.Columns {
		fmt.Fprintf(&b, `<text class="name" transform="translate(%d %d) rotate(-50)">%s</text>`, name+k*cell+cell/2+2, head-6, html.EscapeString(label))
	}
	for i, label := range m.Rows {
		y, total := head+i*cell, 0
		for _, n := range m.Count[i] {
			total += n
		}
		fmt.Fprintf(&b, `<text class="name" text-anchor="end" x="%d" y="%d">%s</text>`, name-6, y+cell/2+4, html.EscapeString(label))
		for k, n := range m.Count[i] {
			share := float64(n) / float64(max(total, 1))
			colour := colours[1]
			if i == k {
				colour = colours[0]
			}
			fmt.Fprintf(&b, `<rect class="cell" x="%d" y="%d" width="%d" height="%d" fill="%s" fill-opacity="%.3f"/>`, name+k*cell, y, cell, cell, colour, share)
			if n > 0 {
				class := "count"
				if share > .55 {
					class = "count light"
				}
				fmt.Fprintf(&b, `<text class="%s" text-anchor="middle" x="%d" y="%d">%d</text>`, class, name+k*cell+cell/2, y+cell/2+4, n)
			}
		}
	}
	b.WriteString(`</svg>`)
	return b.String()
}
