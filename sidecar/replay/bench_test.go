package replay

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// loop gives the packets of a capture again and again, each round later by a
// gap that ends all flows.
type loop struct {
	recs  []Record
	at    int
	shift int64
	left  int
}

func (l *loop) Next(rec *Record) error {
	if l.left == 0 {
		return io.EOF
	}
	l.left--
	if l.at == len(l.recs) {
		l.at = 0
		l.shift += l.recs[len(l.recs)-1].Time + 2*tcpQuiet
	}
	*rec = l.recs[l.at]
	rec.Time += l.shift
	l.at++
	return nil
}

// connections is 1,000 short TCP connections and as many DNS lookups.
func connections(b *testing.B) *loop {
	l := &loop{}
	add := func(frame []byte) {
		l.recs = append(l.recs, Record{Time: int64(len(l.recs)) * 1000, Link: packet.Ethernet, Frame: frame, WireLen: len(frame)})
	}
	for i := range 1000 {
		port := uint16(10000 + i)
		from := func(flags string, seq, ack uint32, n int) []byte {
			return tcpSegment(hostA, hostB, port, 80, flags, seq, ack, n)
		}
		to := func(flags string, seq, ack uint32, n int) []byte {
			return tcpSegment(hostB, hostA, 80, port, flags, seq, ack, n)
		}
		add(from("S", 1, 0, 0))
		add(to("SA", 1, 2, 0))
		add(from("A", 2, 2, 0))
		add(from("PA", 2, 2, 100))
		for range 3 {
			add(to("PA", 2, 102, 1400))
		}
		add(to("FA", 2, 102, 0))
		add(from("FA", 102, 3, 0))
		add(to("A", 3, 103, 0))
		add(udp(hostA, hostB, port, 53, make([]byte, 30)))
		add(udp(hostB, hostA, 53, port, make([]byte, 80)))
	}
	return l
}

// BenchmarkFlows measures packets turned into events, without reading a file.
func BenchmarkFlows(b *testing.B) {
	l := connections(b)
	for name, o := range map[string]Options{"": {}, "/checksums ignored": {IgnoreChecksums: true}} {
		b.Run("packets"+name, func(b *testing.B) {
			l.at, l.shift, l.left = 0, 0, b.N
			f := NewFlows(l, o)
			b.ReportAllocs()
			b.ResetTimer()
			var ev Event
			for f.Next(&ev) == nil { // b.N packets, and the ends of their flows
			}
			b.ReportMetric(float64(f.Counts().Flows)/b.Elapsed().Seconds(), "flows/s")
		})
	}
}

// BenchmarkSource measures packets read from a pcap file in memory.
func BenchmarkSource(b *testing.B) {
	file := pcapFile(b, binary.LittleEndian, false)
	records := bytes.Repeat(file[24:], 1<<12)
	var rec Record
	b.ReportAllocs()
	for n := 0; n < b.N; {
		s, err := NewSource(io.MultiReader(bytes.NewReader(file[:24]), bytes.NewReader(records)), "bench")
		if err != nil {
			b.Fatal(err)
		}
		for s.Next(&rec) == nil {
			n++
		}
	}
}

// BenchmarkTap measures packets played to a peer that decodes what it reads.
func BenchmarkTap(b *testing.B) {
	l := connections(b)
	l.left = b.N
	socket := fakeSidecar(b, func(p *peer) error {
		if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 120}); err != nil {
			return err
		}
		var m wire.Message
		for {
			if err := p.next(&m); err != nil {
				return err
			}
			if m.Kind == wire.KindSync {
				return p.Synced(m.Token)
			}
		}
	})
	tap, err := Dial(b.Context(), socket, TapOptions{Capture: true})
	if err != nil {
		b.Fatal(err)
	}
	defer tap.Close()
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := tap.Play(b.Context(), NewFlows(l, Options{IgnoreChecksums: true})); err != nil {
		b.Fatal(err)
	}
}
