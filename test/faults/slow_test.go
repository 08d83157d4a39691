package faults

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/lightgbm"
)

// rewrite changes the manifest and the files of the bundle.
func (c *changing) rewrite(change func(m *bundle.Manifest, files map[string][]byte)) {
	c.t.Helper()
	m, files := new(bundle.Manifest), map[string][]byte{}
	if _, err := toml.Decode(readText(c.t, c.path(bundle.ManifestFile)), m); err != nil {
		c.t.Fatal(err)
	}
	for name := range m.Files {
		files[name] = []byte(readText(c.t, c.path(name)))
	}
	change(m, files)
	if err := bundle.Write(c.dir, m, files); err != nil {
		c.t.Fatal(err)
	}
}

// slowDown makes a model of the bundle ask its trees so many times over, each
// time for so much less: it says what it said before, later.
func (c *changing) slowDown(name string, times int) {
	c.t.Helper()
	c.rewrite(func(m *bundle.Manifest, files map[string][]byte) {
		files[name] = c.regrown(files[name], m, func(e *lightgbm.Ensemble) {
			strengthen(e, 1/float64(times))
			e.Trees = slices.Repeat(e.Trees, times)
		})
	})
}

// splitOff puts a stage before the only one of the bundle: the first rounds of
// its model, their sum so many times as strong. It knows less and is quick.
func (c *changing) splitOff(rounds int, strength float64, threshold float32) {
	c.t.Helper()
	c.rewrite(func(m *bundle.Manifest, files map[string][]byte) {
		slow := m.Packet.Stage[0]
		fast := slow
		fast.Name, fast.Model, fast.Thresholds = "first", "first.txt", []float32{threshold}
		files[fast.Model] = c.regrown(files[slow.Model], m, func(e *lightgbm.Ensemble) {
			e.Trees = e.Trees[:rounds*e.Groups]
			strengthen(e, strength)
		})
		files[fast.Model+bundle.GoldenSuffix] = c.golden(files[fast.Model], files[slow.Model+bundle.GoldenSuffix], len(m.Labels))
		m.Packet.Stage = []bundle.Stage{fast, slow}
	})
}

func strengthen(e *lightgbm.Ensemble, factor float64) {
	for _, tree := range e.Trees {
		for i := range tree.Leaf {
			tree.Leaf[i] *= factor
		}
	}
}

// regrown is a model with other trees.
func (c *changing) regrown(text []byte, m *bundle.Manifest, change func(*lightgbm.Ensemble)) []byte {
	c.t.Helper()
	e, err := lightgbm.Parse(text, len(m.Labels))
	if err != nil {
		c.t.Fatal(err)
	}
	change(e)
	sizes := []byte("tree_sizes=")
	head, _, _ := bytes.Cut(text, sizes)
	_, trees, _ := bytes.Cut(e.Text(), sizes)
	return slices.Concat(head, sizes, trees, []byte("end of trees\n"))
}

// golden are the golden rows of a model, those of another with the same columns.
func (c *changing) golden(text, other []byte, classes int) []byte {
	c.t.Helper()
	var rows struct {
		Rows  [][]float32 `json:"rows"`
		Probs [][]float32 `json:"probs"`
	}
	c.do(json.Unmarshal(other, &rows))
	m, err := bundle.LoadModel("lightgbm", text, nil, classes, bundle.Options{})
	c.do(err)
	defer m.Close()
	s, err := m.NewScorer()
	c.do(err)
	defer s.Close()
	for i, row := range rows.Rows {
		c.do(s.Score(rows.Probs[i], row, 1))
	}
	golden, err := json.Marshal(rows)
	c.do(err)
	return golden
}
