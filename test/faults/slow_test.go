package faults

import (
	"bytes"
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
		e, err := lightgbm.Parse(files[name], len(m.Labels))
		c.do(err)
		for _, tree := range e.Trees {
			for i := range tree.Leaf {
				tree.Leaf[i] /= float64(times)
			}
		}
		e.Trees = slices.Repeat(e.Trees, times)
		// The header stays as it is, but for the trees' number.
		sizes := []byte("tree_sizes=")
		head, _, _ := bytes.Cut(files[name], sizes)
		_, trees, _ := bytes.Cut(e.Text(), sizes)
		files[name] = slices.Concat(head, sizes, trees, []byte("end of trees\n"))
	})
}
