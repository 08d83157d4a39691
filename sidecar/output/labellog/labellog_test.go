package labellog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

var tuple = packet.Tuple{Proto: packet.TCP, Src: [16]byte{192, 0, 2, 1}, SrcPort: 1, Dst: [16]byte{192, 0, 2, 2}, DstPort: 2, Version: 4}

func numbered(from, n int) []decision.Record {
	recs := make([]decision.Record, n)
	for i := range recs {
		recs[i] = decision.Record{Flow: wire.UintID(uint64(from + i)), Label: "camera", Tuple: tuple}
	}
	return recs
}

// More records than are handed over at once are all in the file, in order.
func TestLabelLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.jsonl")
	l, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	l.Write(numbered(0, n))
	l.Write(nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write(numbered(n, 3))
	if s := l.Stats(); s.Written != n || s.Dropped != 3 {
		t.Errorf("%+v", s)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for line := range bytes.Lines(b) {
		var r struct{ Flow int }
		if err := json.Unmarshal(line, &r); err != nil || r.Flow != i {
			t.Fatalf("line %d: %v: %s", i, err, line)
		}
		i++
	}
	if i != n {
		t.Errorf("%d lines", i)
	}
}

func TestNoAllocations(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "labels.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	recs := numbered(0, 10)
	for range 2 { // let the buffers grow
		for range 100 {
			l.Write(recs)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	// The race detector makes sync.Pool forget on purpose.
	if n := testing.AllocsPerRun(50, func() { l.Write(recs) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations for %d records", n, len(recs))
	}
}

func BenchmarkWrite(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "labels.jsonl"), Options{MaxBytes: 64 << 20, Keep: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	recs := numbered(0, 64)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		l.Write(recs)
		if n++; n%200 == 0 {
			l.Flush()
		}
	}
	b.ReportMetric(float64(n)*64/b.Elapsed().Seconds(), "records/s")
	if d := l.Stats().Dropped; d > 0 {
		b.Errorf("%d dropped", d)
	}
}

// A file of other lines of JSON is not taken for a label log: neither written to nor
// cut. What a crash has left of a line of ours is cut, however short.
func TestLabelLogIsOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.jsonl")
	r := numbered(1, 1)[0]
	line := r.Append(nil)
	for _, foreign := range []string{
		`{"ts":1700000000.0,"uid":"C1","id.orig_h":"192.0.2.1"}`, `{"timestamp":"2023-11-14T22:13:20","flow_id":1}`, `{}`, `{"tsx":1`,
	} {
		for _, text := range []string{foreign + "\n", foreign, foreign + "\n" + foreign[:len(foreign)-1]} {
			if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
				t.Fatal(err)
			}
			if l, err := Open(path, Options{}); err == nil {
				l.Close()
				t.Errorf("%q is taken for a label log", text)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
	for cut := range len(line) {
		if err := os.WriteFile(path, append(line[:len(line):len(line)], line[:cut]...), 0o640); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := l.Close(); err != nil || l.Repaired() != int64(cut) {
			t.Errorf("cut at %d: %d bytes repaired, %v", cut, l.Repaired(), err)
		}
	}
}
