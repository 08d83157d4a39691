package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// changing is a bundle that can be changed: a copy, and the place of a sidecar
// that serves it.
type changing struct {
	*place
	dir string
}

func newChanging(t testing.TB, from, more string) *changing {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, more)
	c := &changing{p, dir}
	c.edit(p.config, "bundle = ", "bundle = \""+dir+"\" # ")
	return c
}

// edit replaces the first old in a file by new, all at once as an editor or a
// package manager does.
func (c *changing) edit(path, old, new string) {
	c.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		c.t.Fatalf("%s has no %q", path, old)
	}
	c.write(path, strings.Replace(string(data), old, new, 1))
}

func (c *changing) write(path, text string) {
	c.t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
}

// path is that of a file of the bundle.
func (c *changing) path(name string) string { return filepath.Join(c.dir, name) }
