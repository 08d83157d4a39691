// Package report writes the results as one self-contained HTML page: no script, no
// network, inline SVG.
package report

import (
	_ "embed"
	"html/template"
	"io"
)

// Page is a report.
type Page struct {
	Title string
	Lead  []string // paragraphs
	Parts []Part
}

// Part is a chapter.
type Part struct {
	Title    string
	Text     []string // paragraphs
	Sections []Section
}

// Section is a figure or a table with what is to be seen in it.
type Section struct {
	Title string
	Text  string
	Table [][]string // the first row is its head
	Draw  []Drawing  // side by side
	Wide  bool       // one drawing a line
}

// Drawing is a plot, bars or a matrix.
type Drawing interface{ svg() string }

//go:embed page.html
var page string

var tmpl = template.Must(template.New("page").Funcs(template.FuncMap{
	// Drawings escape the names in them.
	"svg": func(d Drawing) template.HTML { return template.HTML(d.svg()) },
}).Parse(page))

// Write writes the page.
func (p *Page) Write(w io.Writer) error { return tmpl.Execute(w, p) }
