package main

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

func TestWireDelaysInOrder(t *testing.T) {
	p := drawnPath{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1, Rate: 1e9}
	w := &wire{path: p, rng: rand.New(rand.NewPCG(1, 1))}
	now := time.Unix(1000, 0)
	var last time.Time
	var sum time.Duration
	lost := 0
	const frames = 10000
	for range frames {
		now = now.Add(time.Second)
		due, ok := w.due(now, 100)
		if !ok {
			lost++
			continue
		}
		if due.Before(last) {
			t.Fatal("frames overtake each other")
		}
		if due.Sub(now) < p.Delay/2 {
			t.Fatalf("a delay of %v", due.Sub(now))
		}
		last, sum = due, sum+due.Sub(now)
	}
	if lost < frames/12 || lost > frames/8 {
		t.Errorf("%d of %d frames are lost", lost, frames)
	}
	if mean := sum / (frames - time.Duration(lost)); mean < p.Delay || mean > p.Delay*3/2 {
		t.Errorf("mean delay %v", mean)
	}
}

// At 1 MB/s, 1,000 bytes take 1 ms each, and what would wait too long is dropped.
func TestWireHasARate(t *testing.T) {
	w := &wire{path: drawnPath{Rate: 1e6}, rng: rand.New(rand.NewPCG(1, 1))}
	now := time.Unix(1000, 0)
	carried := 0
	for i := range 1000 {
		due, ok := w.due(now, 1000)
		if !ok {
			continue
		}
		if want := time.Duration(i+1) * time.Millisecond; due.Sub(now) != want {
			t.Fatalf("frame %d after %v, want %v", i, due.Sub(now), want)
		}
		carried++
	}
	if want := int(maxQueue/time.Millisecond) + 1; carried != want {
		t.Errorf("%d frames were carried, want %d", carried, want)
	}
}

// segment is an IPv4 packet with valid checksums.
func segment(protocol byte, from, to uint16) []byte {
	header := map[byte]int{6: 20, 17: 8}[protocol]
	b := make([]byte, 20+header+5)
	b[0], b[1], b[8], b[9] = 0x45, 0xb8, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[20:], from)
	binary.BigEndian.PutUint16(b[22:], to)
	if protocol == 6 {
		b[32] = 5 << 4
	} else {
		binary.BigEndian.PutUint16(b[24:], uint16(header+5))
	}
	copy(b[20+header:], "hello")
	at := map[byte]int{6: 36, 17: 26}[protocol]
	binary.BigEndian.PutUint16(b[at:], ^overAll(b))
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:20]))
	return b
}

// overAll is the sum that a transport's checksum is of, itself included.
func overAll(b []byte) uint16 {
	pseudo := append([]byte{0, b[9], 0, byte(len(b) - 20)}, b[12:20]...)
	return sum(append(pseudo, b[20:]...))
}

func TestWireRoutes(t *testing.T) {
	for _, protocol := range []byte{6, 17} {
		w := &wire{path: drawnPath{Hops: 12, BleachDSCP: true}}
		w.was.Store(53)
		w.becomes.Store(8443)
		b := segment(protocol, 40000, 53)
		w.route(b)
		if b[8] != 52 || b[1] != 0 {
			t.Errorf("time to live %d, class %#x", b[8], b[1])
		}
		if port := binary.BigEndian.Uint16(b[22:]); port != 8443 {
			t.Errorf("protocol %d: port %d", protocol, port)
		}
		if sum(b[:20]) != 0xffff || overAll(b) != 0xffff {
			t.Errorf("protocol %d: a checksum is wrong", protocol)
		}
		back := &wire{source: true}
		back.was.Store(8443)
		back.becomes.Store(53)
		b = segment(protocol, 8443, 40000)
		back.route(b)
		if port := binary.BigEndian.Uint16(b[20:]); port != 53 || overAll(b) != 0xffff {
			t.Errorf("protocol %d: back from port %d", protocol, port)
		}
	}
}

// What is cut or no TCP or UDP passes as it is.
func TestWireRoutesDamage(t *testing.T) {
	w := &wire{}
	w.was.Store(53)
	w.becomes.Store(8443)
	whole := segment(17, 40000, 53)
	for n := 20; n < 28; n++ {
		b := append([]byte(nil), whole[:n]...)
		w.route(b)
		if n >= 24 && binary.BigEndian.Uint16(b[22:]) != 53 {
			t.Errorf("a port of %d bytes was changed", n)
		}
	}
	w.route(append([]byte{0x4f}, whole[1:]...)) // a header longer than the packet
}

func TestLateness(t *testing.T) {
	to, from := &wire{}, &wire{}
	if got := lateness(to, from); got > time.Microsecond {
		t.Errorf("no frame is %v late", got)
	}
	for range 960 {
		to.delivered(100 * time.Microsecond)
	}
	for range 40 {
		from.delivered(time.Second)
	}
	if got := lateness(to, from); got != 128*time.Microsecond {
		t.Errorf("%v, want the next power of two above 100 µs", got)
	}
	for range 40 {
		from.delivered(time.Second)
	}
	if got := lateness(to, from); got < time.Second {
		t.Errorf("%v with 8 %% of frames a second late", got)
	}
}
