package faults

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestScan lets a scan of flows with one packet fall upon a table that is far
// too small for it: flows that have had an answer keep their place, and get their
// label.
func TestScan(t *testing.T) {
	scanned, established := 200_000, uint64(2000)
	if *full {
		scanned = 10_000_000
	}
	p := newPlace(t, "[flow]\nmax_flows = 10_000\nidle_timeout = \"10m\"\nretention = \"10m\"\n[labels]\nmax_size = \"4MiB\"\nkeep = 1")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office", Reply: true})
	scan := p.hello(wire.Hello{Sensor: "office"})
	for _, one := range []*tap{c, scan} {
		one.SetDeadline(time.Now().Add(10 * time.Minute))
	}
	for id := range established {
		c.do(c.packet(id, 1, 80))
		c.do(c.packet(id, 2, 80))
	}
	c.sync(false)
	f := newFlows(t, 80, 1)
	for sent := 0; sent < scanned; sent += floodFlows {
		if _, err := scan.UnixConn.Write(f.next()); err != nil {
			t.Fatal(err)
		}
	}
	scan.sync(false)
	for id := range established {
		c.do(c.packet(id, 3, 80))
	}
	labels := c.sync(false)
	good := 0
	for _, l := range labels {
		if l.Label == "web" && l.Reason == "last_stage" {
			good++
		}
	}
	if good != int(established) {
		t.Errorf("%d of %d established flows kept their label through the scan", good, established)
	}
	if got := s.sample(); got["flows"] > 10_000 || got[`decisions_total{reason="evicted",stage="fast"}`] < float64(scanned)*.9 {
		t.Errorf("%v flows are tracked, %v were evicted", got["flows"], got[`decisions_total{reason="evicted",stage="fast"}`])
	}
	t.Logf("%d scanned flows, %d MiB at most", scanned, s.memory()>>20)
	s.stop()
}

// TestMillionFlows has a million flows in progress at once, with nine packets
// held of the ten that are wanted.
func TestMillionFlows(t *testing.T) {
	flows := 50_000
	if *full {
		flows = 1_000_000
	}
	c := newChanging(t, toy, "[flow]\nmax_flows = 1_100_000\nidle_timeout = \"30m\"\nretention = \"30m\"")
	manifest := c.path("manifest.toml")
	c.write(manifest, strings.ReplaceAll(readText(t, manifest), "packets = 3", "packets = 10"))
	s := c.start()
	empty := s.rss()
	tap := c.hello(wire.Hello{Sensor: "office"})
	tap.SetDeadline(time.Now().Add(10 * time.Minute))
	f := newFlows(t, 80, 9)
	for sent := 0; sent < flows; sent += floodFlows {
		if _, err := tap.UnixConn.Write(f.next()); err != nil {
			t.Fatal(err)
		}
	}
	tap.sync(false)
	time.Sleep(100 * time.Millisecond) // flows are counted at the next tick
	got := s.sample()
	if got["flows"] != float64(flows) || got[`events_total{kind="packet"}`] != float64(9*flows) {
		t.Errorf("%v flows, %v packets", got["flows"], got[`events_total{kind="packet"}`])
	}
	t.Logf("%d flows with 9 packets: %d MiB, %d bytes a flow", flows, s.memory()>>20, (s.memory()-empty)/flows)
	if limit := flows*2500 + 100<<20; s.memory() > limit { // 2.5 GiB for a million
		t.Errorf("%d MiB", s.memory()>>20)
	}
	s.kill() // which is quicker than a million labels
}

// flows is messages of flows that are new each time.
type flows struct {
	b    []byte
	at   []int // where the ids stand
	each int
	id   uint64
}

// newFlows returns messages of flows to a port with so many packets each.
func newFlows(t *testing.T, port uint16, packets int) *flows {
	t.Helper()
	f := &flows{each: packets, id: 1 << 40}
	var b bytes.Buffer
	c := tap{t: t, Encoder: wire.NewEncoder(&b)}
	for i := range uint64(floodFlows) {
		for index := range packets {
			f.at = append(f.at, b.Len()+3) // after array, type and the id's own type
			c.do(c.packet(f.id+i, uint64(index+1), port))
		}
	}
	f.b = b.Bytes()
	return f
}

// next returns the messages of the next flows.
func (f *flows) next() []byte {
	for i, at := range f.at {
		if i > 0 && i%f.each == 0 {
			f.id++
		}
		binary.BigEndian.PutUint64(f.b[at:], f.id)
	}
	f.id++
	return f.b
}
