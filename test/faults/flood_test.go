package faults

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestFlood sends the first packets of ten million flows at a sidecar that may
// track ten thousand: each is decided, memory stays bounded, and so does what
// is on the disk. It takes the whole machine and runs alone.
func TestFlood(t *testing.T) {
	flows := 10_000_000
	const tracked = 10_000
	p := newPlace(t, "[flow]\nmax_flows = 10_000\n[labels]\nmax_size = \"4MiB\"\nkeep = 1")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "flood"})
	c.SetDeadline(time.Now().Add(10 * patience))

	began := time.Now()
	flood := newFlood()
	peace := p.wellBehaved("peace")
	rounds := 0
	for sent := 0; sent < flows; sent += floodFlows {
		if _, err := c.UnixConn.Write(flood.next()); err != nil {
			t.Fatal(err)
		}
		if rounds++; rounds%200 == 1 { // the others are served meanwhile
			if got := p.wellBehaved("good"); !maps.Equal(got, peace) {
				t.Errorf("after %d flows: %v, want %v", sent, got, peace)
			}
		}
	}
	c.sync(false)
	took := time.Since(began)

	got := s.sample()
	if n := got["flows_total"]; n < float64(flows) {
		t.Errorf("%v flows were seen, want %d", n, flows)
	}
	sure, evicted := got[`decisions_total{reason="accepted",stage="fast"}`], got[`decisions_total{reason="evicted",stage="fast"}`]
	if half := float64(flows / 2); sure != half || evicted < half-tracked || evicted > half {
		t.Errorf("%v flows were decided at once and %v evicted, want %v of each", sure, evicted, half)
	}
	if n := got["flows"]; n > tracked {
		t.Errorf("%v flows are tracked, past the limit", n)
	}
	most := s.memory()
	t.Logf("%.0f flows/s, %d MiB at most", float64(flows)/took.Seconds(), most>>20)
	if most > 128<<20 {
		t.Errorf("the sidecar took %d MiB", most>>20)
	}
	s.stop()
	logs, err := filepath.Glob(p.labels + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 4<<20 || len(logs) > 2 {
			t.Errorf("%d logs; %s has %d bytes", len(logs), path, info.Size())
		}
		readLabels(t, path, true)
	}
}

// floodFlows is how many flows there are in a write.
const floodFlows = 1000

// flood is messages of flows that never come again.
type flood struct {
	b    []byte
	size int // of a message
	id   uint64
}

func newFlood() *flood {
	f := &flood{id: 1 << 40} // so that all ids are written in 8 bytes
	var b bytes.Buffer
	c := tap{Encoder: wire.NewEncoder(&b)}
	for i := range uint64(floodFlows) {
		c.packet(f.id+i, 1, []uint16{53, 80}[i%2])
	}
	f.b, f.size = b.Bytes(), b.Len()/floodFlows
	return f
}

// next returns the messages of the next flows.
func (f *flood) next() []byte {
	for at := 0; at < len(f.b); at += f.size {
		binary.BigEndian.PutUint64(f.b[at+3:], f.id) // after array, type and the id's own type
		f.id++
	}
	return f.b
}
