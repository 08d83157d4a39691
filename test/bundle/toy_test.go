// Package bundle holds the bundles that tests run: toy, two stages of
// hand-written trees that tell services by their port.
package bundle

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
)

var update = flag.Bool("update", false, "rewrite toy's golden rows and digests")

const (
	toy = "toy"
	// missing is what p3_payload says of a packet that never came.
	missing = -65536
)

// cases are rows of the two models, and what they say: the class, and whether
// they are sure enough.
var cases = []struct {
	model string
	row   []float32
	label string
	sure  bool
}{
	{"fast", []float32{53}, "dns", true},
	{"fast", []float32{80}, "web", false},
	{"fast", []float32{443}, "web", false},
	{"fast", []float32{22}, "shell", false},
	{"fast", []float32{-1}, "", false},
	{"fast", []float32{9}, "", false},
	{"slow", []float32{53, missing}, "dns", true},
	{"slow", []float32{80, 0}, "web", true},
	{"slow", []float32{443, -100}, "web", true},
	{"slow", []float32{443, missing}, "", false},
	{"slow", []float32{22, 21}, "shell", true},
	{"slow", []float32{22, missing}, "", false},
	{"slow", []float32{-1, 64}, "", false},
}

func TestToy(t *testing.T) {
	if *update {
		write(t)
	}
	b, err := bundle.Load(os.DirFS(toy), bundle.Options{})
	if err != nil {
		t.Fatalf("%v (after a change to the trees: go test ./test/bundle -update)", err)
	}
	for _, c := range cases {
		i := slices.IndexFunc(b.Manifest.Packet.Stage, func(s bundle.Stage) bool { return s.Name == c.model })
		stage := b.Packet.Stages[i]
		probs := score(t, stage.Model, c.row)
		best := slices.Index(probs, slices.Max(probs))
		if sure := probs[best] >= stage.Thresholds[best]; sure != c.sure {
			t.Errorf("%s on %v: %v, sure: %v", c.model, c.row, probs, sure)
		}
		if c.label != "" && b.Manifest.Labels[best] != c.label {
			t.Errorf("%s on %v: %v, want %s", c.model, c.row, probs, c.label)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// write makes the golden rows and lists the files with their digests.
func write(t *testing.T) {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"fast", "slow"} {
		text := read(t, name+".txt")
		e, err := lightgbm.Parse(text, 3)
		if err != nil {
			t.Fatal(err)
		}
		m, err := leaves.New(e)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Rows  [][]float32 `json:"rows"`
			Probs [][]float32 `json:"probs"`
		}
		for _, c := range cases {
			if c.model == name {
				golden.Rows = append(golden.Rows, c.row)
				golden.Probs = append(golden.Probs, score(t, m, c.row))
			}
		}
		data, err := json.Marshal(golden)
		if err != nil {
			t.Fatal(err)
		}
		files[name+".txt"] = text
		files[name+".txt.golden.json"] = append(data, '\n')
	}
	manifest, _, _ := strings.Cut(string(read(t, bundle.ManifestFile)), "[files]\n")
	manifest += "[files]\n"
	for _, name := range []string{"fast.txt", "fast.txt.golden.json", "slow.txt", "slow.txt.golden.json"} {
		manifest += fmt.Sprintf("%q = \"sha256:%x\"\n", name, sha256.Sum256(files[name]))
	}
	files[bundle.ManifestFile] = []byte(manifest)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(toy, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(toy, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func score(t *testing.T, m model.Model, row []float32) []float32 {
	t.Helper()
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	probs := make([]float32, m.Classes())
	if err := s.Score(probs, row, 1); err != nil {
		t.Fatal(err)
	}
	return probs
}
