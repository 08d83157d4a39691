package labellog

import (
	"bytes"
	"testing"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

// FuzzDecided reads a label log that begins with anything: a flow that was
// decided after it is known, one whose line was cut is not.
func FuzzDecided(f *testing.F) {
	line := (&decision.Record{Sensor: "a", Flow: wire.UintID(7)}).Append(nil)
	f.Add([]byte{})
	f.Add(line)
	f.Add(line[:len(line)/2])
	f.Add([]byte("{\"sensor\":\"a\",\"flow\":\"C\\u0041\"}\n{\"sensor\":\"a\",\"flow\":-1}\n{\"sensor\":null,\"flow\":1}\n\n"))
	f.Fuzz(func(t *testing.T, before []byte) {
		log := append(before[:len(before):len(before)], '\n')
		log = (&decision.Record{Sensor: "whole \"1\"", Flow: wire.UintID(1<<63 + 1)}).Append(log)
		log = (&decision.Record{Sensor: "torn\x00", Flow: wire.UintID(9)}).Append(log)
		d := &Decided{flows: map[decidedFlow]struct{}{}}
		if err := d.readLines(bytes.NewReader(log[:len(log)-1])); err != nil {
			t.Fatal(err)
		}
		if !d.Has("whole \"1\"", wire.UintID(1<<63+1)) {
			t.Errorf("the flow after %q is not known", before)
		}
		if d.Has("torn\x00", wire.UintID(9)) {
			t.Error("the flow whose line was cut is known")
		}
	})
}
