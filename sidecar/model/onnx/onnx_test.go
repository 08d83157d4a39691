//go:build cgo

package onnx

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"serveflow/sidecar/model"
)

// library returns the ONNX Runtime library to test with, or skips the test.
func library(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../../build/onnxruntime/" + libraryName)
	if named := os.Getenv(libraryEnv); named != "" {
		path, err = named, nil
	}
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("SKIPPED, ONNX IS NOT TESTED: %v: run `make deps` to fetch the library", err)
	}
	return path
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// load loads testdata/mlp.onnx: 4 columns, 3 classes.
func load(t testing.TB, maxBatch int) model.Model {
	t.Helper()
	m, err := Load(read(t, "mlp.onnx"), Options{Library: library(t), Classes: 3, MaxBatch: maxBatch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func newScorer(t testing.TB, m model.Model) model.Scorer {
	t.Helper()
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestGoldenRows(t *testing.T) {
	m := load(t, 4)
	if got := strings.Join(m.Columns(), " "); got != "a b c d" || m.Classes() != 3 {
		t.Errorf("columns %q, %d classes", got, m.Classes())
	}
	if err := model.CheckGolden(m, bytes.NewReader(read(t, "mlp.onnx.golden.json")), 1e-5); err != nil {
		t.Error(err)
	}
}

// TestBatches scores 1 to 70 rows at once and compares them with the rows
// alone, over models of several batch sizes.
func TestBatches(t *testing.T) {
	const most = 70
	r := rand.New(rand.NewPCG(1, 1))
	rows := make([]float32, most*4)
	for i := range rows {
		rows[i] = float32(r.IntN(8) - 1)
	}
	want := make([]float32, most*3)
	single := newScorer(t, load(t, 1))
	if err := single.Score(want, rows, most); err != nil {
		t.Fatal(err)
	}
	for _, maxBatch := range []int{0, 1, 7, 70} {
		s := newScorer(t, load(t, maxBatch))
		for n := range most + 1 {
			got := make([]float32, n*3)
			if err := s.Score(got, rows[:n*4], n); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if d := v - want[i]; d > 1e-6 || d < -1e-6 {
					t.Fatalf("batches of %d, %d rows: value %d is %g, want %g", maxBatch, n, i, v, want[i])
				}
			}
		}
	}
}

func TestScoreLengths(t *testing.T) {
	s := newScorer(t, load(t, 4))
	for _, test := range []struct{ probs, rows, n int }{{3, 3, 1}, {3, 5, 1}, {2, 4, 1}, {3, 4, 2}, {3, 4, -1}} {
		if err := s.Score(make([]float32, test.probs), make([]float32, test.rows), test.n); err == nil {
			t.Errorf("%+v: no error", test)
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	s := newScorer(t, load(t, 8))
	rows, probs := make([]float32, 20*4), make([]float32, 20*3)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Score(probs, rows, 20); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestScorersShareAModel(t *testing.T) {
	m := load(t, 8)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := m.NewScorer()
			if err != nil {
				t.Error(err)
				return
			}
			rows, probs := make([]float32, 8*4), make([]float32, 8*3)
			for j := range rows {
				rows[j] = float32(i)
			}
			for range 200 {
				if err := s.Score(probs, rows, 8); err != nil {
					t.Error(err)
				}
				if probs[0] != probs[21] {
					t.Errorf("equal rows score %g and %g", probs[0], probs[21])
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	m, err := Load(read(t, "mlp.onnx"), Options{Library: library(t), Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing twice does no harm
		if err := errors.Join(s.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := s.Score(make([]float32, 3), make([]float32, 4), 1); err == nil {
		t.Error("a closed scorer scores")
	}
	if _, err := m.NewScorer(); err == nil {
		t.Error("a closed model gives a scorer")
	}
}

func TestRefused(t *testing.T) {
	lib := library(t)
	good := read(t, "mlp.onnx")
	tests := []struct {
		name string
		data []byte
		opts Options
		want string
	}{
		{"no data", nil, Options{Classes: 3}, "0 bytes"},
		{"text", []byte("tree\nversion=v4\n"), Options{Classes: 3}, "read the model"},
		{"cut", good[:len(good)/2], Options{Classes: 3}, "read the model"},
		{"classes", good, Options{Classes: 4}, "has 3 classes, 4 are expected"},
		{"one class", good, Options{Classes: 1}, "at least 2"},
		{"batch", good, Options{Classes: 3, MaxBatch: -1}, "must be 1 to 1024"},
		{"nameless", nil, Options{Classes: 3}, "no serveflow.columns"},
		{"columns-short", nil, Options{Classes: 3}, "names 3 columns, the input has 4"},
		{"columns-twice", nil, Options{Classes: 3}, `"a") is empty or listed twice`},
		{"batch-of-one", nil, Options{Classes: 3}, "free batch"},
		{"any-width", nil, Options{Classes: 3}, "a fixed number"},
		{"output-name", nil, Options{Classes: 3}, `must have one, "probabilities"`},
		{"two-outputs", nil, Options{Classes: 3}, `["probabilities" "logits"]`},
		{"doubles", nil, Options{Classes: 3}, "must be a tensor of float32"},
		{"no-softmax", nil, Options{Classes: 3}, "for a row of zeros"},
		{"external", nil, Options{Classes: 3}, "weights are in another file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.data == nil && test.name != "no data" {
				test.data = read(t, "bad-"+test.name+".onnx")
			}
			test.opts.Library = lib
			_, err := Load(test.data, test.opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// FuzzLoad looks for bytes that bring the process down instead of giving an
// error. What loads by chance must score.
func FuzzLoad(f *testing.F) {
	lib := library(f)
	names, err := filepath.Glob("testdata/*.onnx")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(read(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Load(data, Options{Library: lib, Classes: 3, MaxBatch: 1})
		if err != nil {
			return
		}
		s, err := m.NewScorer()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Score(make([]float32, 3), make([]float32, len(m.Columns())), 1); err != nil {
			t.Error(err)
		}
		if err := errors.Join(s.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkScore measures one batch of a model too small to matter: what is
// left is the price of calling the runtime.
func BenchmarkScore(b *testing.B) {
	s := newScorer(b, load(b, 32))
	for _, n := range []int{1, 32} {
		b.Run(map[int]string{1: "rows=1", 32: "rows=32"}[n], func(b *testing.B) {
			rows, probs := make([]float32, n*4), make([]float32, n*3)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Score(probs, rows, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
