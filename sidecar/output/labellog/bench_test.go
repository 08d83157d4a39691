package labellog

import (
	"bytes"
	"testing"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

// BenchmarkReadDecided reads what a restart after days of traffic reads.
func BenchmarkReadDecided(b *testing.B) {
	var log []byte
	for id := range uint64(10_000) {
		r := decision.Record{
			Start: 1_700_000_000_000_000, Sensor: "office", Flow: wire.UintID(1<<50 + id), Label: "web", Score: .97, Margin: .9,
			Stage: "slow", Packets: 10, LatencyUS: 12_345, Model: "iot-device@2.0.0", Reason: "accepted",
		}
		log = r.Append(log)
	}
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		d := &Decided{flows: map[decidedFlow]struct{}{}}
		if err := d.readLines(bytes.NewReader(log)); err != nil || d.Len() != 10_000 {
			b.Fatal(d.Len(), err)
		}
	}
}
