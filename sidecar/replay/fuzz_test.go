package replay

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// FuzzCapture reads arbitrary bytes as a capture. Whatever they are, nothing
// panics, every packet is accounted for, and every flow ends exactly once.
func FuzzCapture(f *testing.F) {
	f.Add(pcapFile(f, binary.LittleEndian, false))
	f.Add(pcapFile(f, binary.BigEndian, true))
	f.Add(pcapngFile(f))
	f.Add(gzipped(f, pcapFile(f, binary.LittleEndian, false)))
	f.Add(zstandard(f, pcapngFile(f)))
	captures, _ := filepath.Glob("../../test/captures/*.pcap*")
	for _, path := range captures {
		if b, err := os.ReadFile(path); err == nil && len(b) < 16<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewSource(bytes.NewReader(b), "fuzz")
		if err != nil {
			return
		}
		defer s.Close()
		flows := NewFlows(s, Options{IgnoreChecksums: len(b)%2 == 0, Rules: Rules(len(b) / 2 % 3)})
		open := map[uint64]uint64{}
		var ev Event
		for flows.Next(&ev) == nil {
			pkts := ev.OrigPkts + ev.RespPkts
			switch ev.Kind {
			case PacketEvent:
				if pkts != open[ev.Flow]+1 {
					t.Fatalf("packet %d of flow %d follows packet %d", pkts, ev.Flow, open[ev.Flow])
				}
				open[ev.Flow] = pkts
				if len(ev.Frame) > ev.WireLen {
					t.Fatalf("frame of %d bytes, %d on the wire", len(ev.Frame), ev.WireLen)
				}
			case EndEvent:
				if pkts == 0 || pkts != open[ev.Flow] {
					t.Fatalf("flow %d ends at packet %d of %d", ev.Flow, pkts, open[ev.Flow])
				}
				delete(open, ev.Flow)
			}
			if len(open) != len(flows.open) {
				t.Fatalf("%d flows are open, %d are kept", len(open), len(flows.open))
			}
		}
		if len(open) != 0 {
			t.Fatalf("%d flows never ended", len(open))
		}
		if c := flows.Counts(); c.Events+c.Skipped.Sum() != c.Packets {
			t.Fatalf("packets are not accounted for: %+v", c)
		}
	})
}
