// Package engine holds what the end-to-end tests with real Zeek and Suricata share: the
// captures that they read, a sidecar beside them, its decisions, and live runs with
// injected faults. An engine is a Zeek or a Suricata.
package engine

import (
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Root is the repository, as an absolute path: engines run elsewhere.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("not in the repository")
	return ""
}

// Capture is a file that an engine can read.
type Capture struct {
	Name, Path string
	// Hard: hand-made packets that engines have different views of.
	Hard bool
}

// Committed are the captures of the repository that libpcap reads: of one link
// type, and whole.
func Committed(t *testing.T) (all []Capture) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(Root(t), "test/captures/*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".pcap")
		if name != "hard-cut" {
			all = append(all, Capture{name, path, strings.HasPrefix(name, "hard-")})
		}
	}
	return all
}

// dataFolder is the folder of labelled captures, which need not be there.
func dataFolder(t *testing.T) string {
	if data := os.Getenv("SERVEFLOW_DATA"); data != "" {
		return data
	}
	return filepath.Join(Root(t), "../shared/data")
}

// Labelled are every nth of the test captures of a set in the data folder, at most
// limit, unpacked; none if there is no such folder.
func Labelled(t *testing.T, set string, every, limit int) (all []Capture) {
	t.Helper()
	folder := filepath.Join(dataFolder(t), set)
	f, err := os.Open(filepath.Join(folder, "manifest.csv"))
	if err != nil {
		t.Logf("no labelled captures: %v", err)
		return nil
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	file, split := slices.Index(rows[0], "file"), slices.Index(rows[0], "split")
	unpacked := t.TempDir()
	n := 0
	for _, row := range rows[1:] {
		if row[split] != "test" {
			continue
		}
		if n++; n%every != 0 || len(all) == limit {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(row[file]), ".zst"), ".pcap")
		path := filepath.Join(unpacked, name+".pcap")
		unpack(t, filepath.Join(folder, row[file]), path)
		all = append(all, Capture{Name: name, Path: path})
	}
	return all
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := zstd.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, z); err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
