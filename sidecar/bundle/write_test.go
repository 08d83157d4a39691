package bundle

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"testing"

	"serveflow/models"
)

// TestWriteOnce writes a bundle whose cascades have models of their own, all
// alike but one.
func TestWriteOnce(t *testing.T) {
	from, err := Load(copyToy(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	files := map[string][]byte{"DATASHEET.md": []byte("slow.txt"), "costs.json": []byte("slow.txt")}
	own := func(name string, s []Stage) (stages []Stage) {
		for _, one := range s {
			for _, suffix := range []string{"", GoldenSuffix} {
				files[name+one.Model+suffix] = toyFile(t, one.Model+suffix)
			}
			one.Model = name + one.Model
			stages = append(stages, one)
		}
		return stages
	}
	m := *from.Manifest
	m.Packet.Stage, m.Meta.Stage = own("packet-", m.Packet.Stage), own("meta-", m.Meta.Stage)
	// The same model with other golden rows is another.
	files["meta-slow.txt"+GoldenSuffix] = bytes.TrimSpace(files["meta-slow.txt"+GoldenSuffix])

	dir := t.TempDir()
	if err := Write(dir, &m, files); err != nil {
		t.Fatal(err)
	}
	b, err := Open(dir+"/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	written := b.Manifest
	if fast := written.Meta.Stage[0].Model; fast != "packet-fast.txt" {
		t.Errorf("the first stage for META is %s", fast)
	}
	if slow := written.Meta.Stage[1].Model; slow != "meta-slow.txt" {
		t.Errorf("the second stage for META is %s", slow)
	}
	delete(files, "meta-fast.txt")
	delete(files, "meta-fast.txt"+GoldenSuffix)
	for name := range written.Files {
		if _, ok := files[name]; !ok {
			t.Errorf("%s was written", name)
		}
	}
	if len(written.Files) != len(files) {
		t.Errorf("written: %v", written.Files)
	}
	if m.Meta.Stage[0].Model != "meta-fast.txt" {
		t.Error("the caller's manifest was changed")
	}
}

// TestShippedOnce writes the bundles that come with the program again: there is
// nothing in them that need not be.
func TestShippedOnce(t *testing.T) {
	for _, name := range models.Names() {
		b, err := Open(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		fsys, err := models.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		files, err := ReadFiles(fsys, b.Manifest.Files, maxTotal)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := Write(dir, b.Manifest, files); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir+"/", Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if !maps.Equal(again.Manifest.Files, b.Manifest.Files) || again.Digest() != b.Digest() {
			t.Errorf("%s is written as %v", name, again.Manifest.Files)
		}
		written := 0
		err = fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				written++
			}
			return err
		})
		if err != nil || written != len(files)+1 {
			t.Errorf("%s has %d files, %v", name, written, err)
		}
	}
}

// TestLoadOnce: what two stages name is loaded once.
func TestLoadOnce(t *testing.T) {
	b, err := Open("channel", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if len(b.models) != len(b.Packet.Stages) {
		t.Errorf("%d models for %d stages", len(b.models), len(b.Packet.Stages))
	}
	for i, s := range b.Packet.Stages {
		if m := b.Meta.Stages[i]; m.Model != s.Model {
			t.Errorf("stage %s is loaded twice", s.Name)
		}
	}
}
