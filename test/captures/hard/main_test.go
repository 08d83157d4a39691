package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The files in the repository are those that this program writes.
func TestFilesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for name := range captures {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join("..", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what this program writes (%v): run go run ./test/captures/hard test/captures", name, err)
		}
	}
}
