package tune

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/bundle"
)

// TestSubstitute: all files of the bundle for taps that may send no payload go into
// the new one.
func TestSubstitute(t *testing.T) {
	files := map[string][]byte{}
	if err := substitute(toy, files); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(toy+"/", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	want := append(slices.Collect(maps.Keys(b.Manifest.Files)), bundle.ManifestFile)
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
	for _, name := range want {
		data, err := os.ReadFile(filepath.Join(toy, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(files[bundle.WithoutPayload+"/"+name]) != string(data) {
			t.Errorf("%s is missing or another", name)
		}
	}
	if err := substitute(t.TempDir(), files); err == nil || !strings.Contains(err.Error(), "not a bundle") {
		t.Errorf("a directory without a bundle: %v", err)
	}
}
