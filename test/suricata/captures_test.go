package suricata

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

// capture is a file that an engine can read.
type capture struct {
	name, path string
	// hard: hand-made packets that engines have different views of.
	hard bool
}

// committed are the captures of the repository that libpcap reads: of one link
// type, and whole.
func committed(t *testing.T) (all []capture) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root(t), "test/captures/*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".pcap")
		if name != "hard-cut" {
			all = append(all, capture{name, path, strings.HasPrefix(name, "hard-")})
		}
	}
	return all
}

// dataFolder is the folder of labelled captures, which need not be there.
func dataFolder(t *testing.T) string {
	if data := os.Getenv("SERVEFLOW_DATA"); data != "" {
		return data
	}
	return filepath.Join(root(t), "../shared/data")
}

// labelled are every nth of the test captures of the data folder's iot-device,
// unpacked; none if there is no such folder.
func labelled(t *testing.T, every int) (all []capture) {
	t.Helper()
	folder := filepath.Join(dataFolder(t), "iot-device")
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
		if n++; n%every != 0 {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(row[file]), ".pcap.zst")
		path := filepath.Join(unpacked, name+".pcap")
		unpack(t, filepath.Join(folder, row[file]), path)
		all = append(all, capture{name: name, path: path})
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
