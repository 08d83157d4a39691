package novelty

import (
	"math"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/lightgbm"
)

// Profile is how the training flows of each class look to a model of trees. While
// flows are added it belongs to one goroutine; then it may be shared.
type Profile struct {
	classes []class
	step    int // from one tree of a class to the next
}

// class is the record of the flows of a class.
type class struct {
	spans []span   // by column
	tree  int      // its first
	from  []uint32 // where the leaves of each of its trees begin in known
	known []bool   // the leaves that were reached
}

// span is the range of a column's values.
type span struct{ least, most float32 }

// nowhere is the empty range.
var nowhere = span{math.MaxFloat32, -math.MaxFloat32}

// of is the ensemble of a model of trees, nil for other models.
func of(m model.Model) *lightgbm.Ensemble {
	if t, ok := m.(interface{ Parsed() *lightgbm.Ensemble }); ok {
		return t.Parsed()
	}
	return nil
}

// New returns an empty profile for a model; nil if the model is not of trees.
func New(m model.Model) *Profile {
	e := of(m)
	if e == nil {
		return nil
	}
	p := &Profile{make([]class, e.Classes), e.Groups}
	for k := range p.classes {
		c := &p.classes[k]
		c.tree = k % e.Groups // both classes of a binary model share its trees
		for t := c.tree; t < len(e.Trees); t += p.step {
			c.from = append(c.from, uint32(len(c.known)))
			c.known = append(c.known, make([]bool, len(e.Trees[t].Leaf))...)
		}
		c.spans = make([]span, len(e.Columns))
		for i := range c.spans {
			c.spans[i] = nowhere
		}
	}
	return p
}

// Add adds a training flow of a class: row is the row that t has scored last.
func (p *Profile) Add(class int, row []float32, t model.Trees) {
	c := &p.classes[class]
	for i, x := range row {
		c.spans[i] = span{min(c.spans[i].least, x), max(c.spans[i].most, x)}
	}
	for i, from := range c.from {
		c.known[from+uint32(t.Leaf(c.tree+i*p.step))] = true
	}
}

// Novelty is the novelty of a flow for a class: row is the row that t has scored
// last, prob the probability of the class. It is 0 for a flow with probability 1
// that looks like those that were added.
func (p *Profile) Novelty(class int, prob float32, row []float32, t model.Trees) float32 {
	c := &p.classes[class]
	columns, trees := 0, 0
	for i, s := range c.spans {
		if x := row[i]; x < s.least || x > s.most {
			columns++
		}
	}
	for i, from := range c.from {
		if !c.known[from+uint32(t.Leaf(c.tree+i*p.step))] {
			trees++
		}
	}
	unseen := (float64(trees) + math.Sqrt(float64(columns))) / float64(len(c.from))
	return float32(math.Sqrt(unseen) + (1-float64(prob))/3)
}
