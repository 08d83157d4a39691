package labellog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

func TestReadDecided(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.jsonl")
	if d, err := ReadDecided(path); err != nil || d.Len() != 0 {
		t.Fatalf("a log that is not there: %v, %v", d, err)
	}
	uid, err := wire.StringID(`C"\x`)
	if err != nil {
		t.Fatal(err)
	}
	var log []byte
	for _, r := range []decision.Record{
		{Sensor: "a", Flow: wire.UintID(7)},
		{Sensor: "b \"c\"", Flow: uid},
		{Sensor: "a", Flow: wire.UintID(1<<64 - 1)},
	} {
		log = r.Append(log)
	}
	log = append(log, "no line of ours\n{}\n{\"sensor\":\"a\",\"flow\":-1}\n{\"sensor\":\"a\",\"flow\":\"\"}\n"...)
	log = append(log, (&decision.Record{Sensor: "torn", Flow: wire.UintID(9)}).Append(nil)...)
	log = log[:len(log)-1]
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDecided(path)
	if err != nil {
		t.Fatal(err)
	}
	text7, _ := wire.StringID("7")
	for _, test := range []struct {
		sensor string
		id     wire.FlowID
		want   bool
	}{
		{"a", wire.UintID(7), true},
		{"b", wire.UintID(7), false},
		{"a", text7, false},
		{"b \"c\"", uid, true},
		{"a", wire.UintID(1<<64 - 1), true},
		{"torn", wire.UintID(9), false},
	} {
		if got := d.Has(test.sensor, test.id); got != test.want {
			t.Errorf("sensor %q flow %v: %v, want %v", test.sensor, test.id, got, test.want)
		}
	}
	if d.Len() != 3 {
		t.Errorf("%d flows, want 3", d.Len())
	}
}

// TestReadDecidedOfRotatedLogs: a flow may have been decided just before the
// log was rotated.
func TestReadDecidedOfRotatedLogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.jsonl")
	write := func(name string, id uint64) {
		t.Helper()
		line := (&decision.Record{Sensor: "a", Flow: wire.UintID(id)}).Append(nil)
		if err := os.WriteFile(path+name, line, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...uint64) {
		t.Helper()
		d, err := ReadDecided(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range want {
			if !d.Has("a", wire.UintID(id)) {
				t.Errorf("flow %d is not known", id)
			}
		}
		if d.Len() != len(want) {
			t.Errorf("%d flows, want %v", d.Len(), want)
		}
	}
	write(".1", 1) // rotated, and killed before there was a new one
	has(1)
	write("", 0)
	write(".2", 2)
	write(".4", 4) // somebody else's: there is no .3
	has(0, 1, 2)
}

// TestReadDecidedOfFIFO: there is nothing to read from where nobody keeps what
// is written, and nothing to wait for.
func TestReadDecidedOfFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := ReadDecided(path); err != nil || d.Len() != 0 {
		t.Errorf("%v, %v", d, err)
	}
}
