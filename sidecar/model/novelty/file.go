package novelty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"serveflow/sidecar/model"
)

// maxBytes bounds what Parse reads: a profile is about as large as its model.
const maxBytes = 64 << 20

// file is the text of a profile, JSON beside the model's own file:
//
//	{"least": [[0, -1]], "most": [[4, 8]], "known": [["101", "11"]]}
//
// least and most have, for each class, the bounds of each column among its
// training flows; known has, for each class and each of its trees, a 1 for each
// leaf that one of them reached and a 0 for the others.
type file struct {
	Least [][]float32 `json:"least"`
	Most  [][]float32 `json:"most"`
	Known [][]string  `json:"known"`
}

// Encode returns p as text.
func (p *Profile) Encode() []byte {
	var f file
	for _, c := range p.classes {
		var least, most []float32
		for _, s := range c.spans {
			least, most = append(least, s.least), append(most, s.most)
		}
		leaves := make([]byte, len(c.known))
		for i, k := range c.known {
			leaves[i] = '0'
			if k {
				leaves[i] = '1'
			}
		}
		var known []string
		for i := range c.from {
			known = append(known, string(leaves[c.from[i]:c.end(i)]))
		}
		f.Least, f.Most, f.Known = append(f.Least, least), append(f.Most, most), append(f.Known, known)
	}
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // its numbers are finite
	}
	return append(text, '\n')
}

// end is where the leaves of tree i of the class end.
func (c *class) end(i int) uint32 {
	if i+1 < len(c.from) {
		return c.from[i+1]
	}
	return uint32(len(c.known))
}

// Parse reads a profile for a model. A text for another model, or an invalid one,
// is an error that says where.
func Parse(data []byte, m model.Model) (*Profile, error) {
	p := New(m)
	if p == nil {
		return nil, fmt.Errorf("profile: only models of trees can have one")
	}
	var f file
	if err := model.ReadJSON(bytes.NewReader(data), &f, maxBytes); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if n := len(p.classes); len(f.Least) != n || len(f.Most) != n || len(f.Known) != n {
		return nil, fmt.Errorf("profile: least, most and known have %d, %d and %d classes, the model has %d", len(f.Least), len(f.Most), len(f.Known), n)
	}
	for k := range p.classes {
		if err := p.classes[k].fill(f.Least[k], f.Most[k], f.Known[k]); err != nil {
			return nil, fmt.Errorf("profile: class %d: %w", k, err)
		}
	}
	return p, nil
}

func (c *class) fill(least, most []float32, known []string) error {
	if len(least) != len(c.spans) || len(most) != len(c.spans) {
		return fmt.Errorf("%d and %d bounds, the model has %d columns", len(least), len(most), len(c.spans))
	}
	for i := range c.spans {
		c.spans[i] = span{least[i], most[i]}
		if least[i] > most[i] && c.spans[i] != nowhere {
			return fmt.Errorf("column %d: %v to %v is not a range", i, least[i], most[i])
		}
	}
	if len(known) != len(c.from) {
		return fmt.Errorf("%d trees, the model has %d of the class", len(known), len(c.from))
	}
	for i, leaves := range known {
		if n := int(c.end(i) - c.from[i]); len(leaves) != n || strings.Trim(leaves, "01") != "" {
			return fmt.Errorf("tree %d: %.40q is not %d times 0 or 1, one for each leaf", i, leaves, n)
		}
		for j := range leaves {
			c.known[int(c.from[i])+j] = leaves[j] == '1'
		}
	}
	return nil
}
