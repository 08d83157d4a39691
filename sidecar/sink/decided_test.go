package sink

import (
	"os"
	"path/filepath"
	"testing"

	"serveflow/sidecar/wire"
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
	for _, r := range []Record{
		{Sensor: "a", Flow: wire.UintID(7)},
		{Sensor: "b \"c\"", Flow: uid},
		{Sensor: "a", Flow: wire.UintID(1<<64 - 1)},
	} {
		log = r.Append(log)
	}
	log = append(log, "no line of ours\n{}\n{\"sensor\":\"a\",\"flow\":-1}\n{\"sensor\":\"a\",\"flow\":\"\"}\n"...)
	log = append(log, (&Record{Sensor: "torn", Flow: wire.UintID(9)}).Append(nil)...)
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
