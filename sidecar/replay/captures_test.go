package replay

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected flows")

const capturesDir = "../../test/captures"

// TestCaptures finds in every capture of test/captures the flows that
// expected.csv lists, and skips the packets that expected_packets.csv counts.
func TestCaptures(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(capturesDir, "*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	flows := [][]string{{"file", "flow", "proto", "src", "sport", "dst", "dport",
		"orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "ended"}}
	files := [][]string{{"file", "packets", "flows", "flow_packets",
		"not_ip", "malformed", "truncated", "checksum", "fragment", "cut"}}
	for _, path := range paths {
		rows, file := capture(t, path)
		flows = append(flows, rows...)
		files = append(files, file)
	}
	golden(t, "expected.csv", flows)
	golden(t, "expected_packets.csv", files)
}

// capture reads one capture and describes its flows, in order of their
// numbers, and itself.
func capture(t *testing.T, path string) (flows [][]string, file []string) {
	t.Helper()
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	name := filepath.Base(path)
	f := NewFlows(src, Options{})
	ended := map[uint64][]string{}
	cut := false
	for {
		var ev Event
		if err := f.Next(&ev); errors.Is(err, io.ErrUnexpectedEOF) {
			cut = true
			break
		} else if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == EndEvent {
			u := ev.Tuple
			ended[ev.Flow] = words(name, ev.Flow, u.Proto, u.SrcAddr(), u.SrcPort, u.DstAddr(), u.DstPort,
				ev.OrigPkts, ev.RespPkts, ev.OrigBytes, ev.RespBytes, ev.Cause)
		}
	}
	c := f.Counts()
	for n := range c.Flows {
		flows = append(flows, ended[n+1])
	}
	s := c.Skipped
	return flows, words(name, c.Packets, c.Flows, c.Events, s.NotIP, s.Malformed, s.Truncated, s.Checksum, s.Fragment, cut)
}

func words(values ...any) []string {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = fmt.Sprint(v)
	}
	return row
}

func golden(t *testing.T, name string, rows [][]string) {
	t.Helper()
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(capturesDir, name)
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, lines := bytes.Split(b.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range max(len(got), len(lines)) {
		var g, w []byte
		if i < len(got) {
			g = got[i]
		}
		if i < len(lines) {
			w = lines[i]
		}
		if !bytes.Equal(g, w) {
			t.Errorf("%s, line %d:\n got %s\nwant %s", name, i+1, g, w)
		}
	}
}
