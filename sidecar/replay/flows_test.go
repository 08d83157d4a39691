package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"serveflow/sidecar/features/packet"
	"serveflow/test/frames"
)

// at is a frame and the second it came.
type at struct {
	second float64
	frame  []byte
}

// summary reads all events, one word each: "1o1/0" is flow 1, a packet of the
// originator, which has sent 1 packet and the responder none; "1end@5:quiet"
// is its end at second 5.
func summary(t *testing.T, f *Flows) []string {
	t.Helper()
	var words []string
	var ev Event
	for {
		switch err := f.Next(&ev); {
		case err == io.EOF:
			return words
		case err != nil:
			return append(words, err.Error())
		}
		if ev.Kind == EndEvent {
			words = append(words, fmt.Sprintf("%dend@%g:%s", ev.Flow, float64(ev.Time)/second, ev.Cause))
			continue
		}
		words = append(words, fmt.Sprintf("%d%c%d/%d", ev.Flow, "or?"[ev.Dir], ev.OrigPkts, ev.RespPkts))
	}
}

func TestFlows(t *testing.T) {
	a := func(flags string, seq uint32, payload int) []byte { return tcpFrom("a", flags, seq, 500, payload) }
	b := func(flags string, seq uint32, payload int) []byte { return tcpFrom("b", flags, seq, 101, payload) }
	ask := udp(hostA, hostB, 5000, 7, []byte("question"))
	answer := udp(hostB, hostA, 7, 5000, []byte("answer"))
	for _, c := range []struct {
		name   string
		frames []at
		want   string
	}{
		{"whole TCP connection", []at{
			{0, a("S", 100, 0)}, {0.1, b("SA", 499, 0)}, {0.2, a("A", 101, 0)},
			{0.3, a("PA", 101, 10)}, {0.4, b("FA", 500, 0)}, {0.5, a("FA", 111, 0)}, {0.6, b("A", 501, 0)},
			{9, ask},
		}, "1o1/0 1r1/1 1o2/1 1o3/1 1r3/2 1o4/2 1r4/3 1end@5.5:closed 2o1/0 2end@9:capture_over"},
		{"late packets belong to the closed flow, later ones to a new one", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {0, a("R", 101, 0)},
			{4, b("PA", 500, 10)}, {6, b("PA", 500, 10)},
		}, "1o1/0 1r1/1 1o2/1 1r2/2 1end@5:reset 2o1/0 2end@6:capture_over"},
		{"SYN after the close", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("FA", 101, 0)}, {1, b("FA", 500, 0)},
			{2, a("S", 900, 0)},
		}, "1o1/0 1r1/1 1o2/1 1r2/2 1end@2:reused 2o1/0 2end@2:capture_over"},
		{"SYN of the other end after the close", []at{
			{0, a("S", 100, 0)}, {0, b("RA", 0, 0)}, {1, b("S", 900, 0)},
		}, "1o1/0 1r1/1 1end@1:reused 2o1/0 2end@1:capture_over"},
		{"retransmitted SYN", []at{
			{0, a("S", 100, 0)}, {1, a("S", 100, 0)}, {2, b("SA", 499, 0)},
		}, "1o1/0 1o2/0 1r2/1 1end@2:capture_over"},
		{"SYN with another number", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("S", 777, 0)},
		}, "1o1/0 1r1/1 1end@1:reused 2o1/0 2end@1:capture_over"},
		{"SYNs without an answer", []at{
			{0, a("S", 100, 0)}, {1, a("S", 100, 0)}, {3, a("S", 100, 0)}, {7, a("S", 100, 0)},
		}, "1o1/0 1o2/0 1o3/0 1end@5:unanswered 2o1/0 2end@7:capture_over"},
		{"SYN-ACK first", []at{
			{0, b("SA", 499, 0)}, {0.1, a("S", 100, 0)}, {0.2, a("A", 101, 0)},
		}, "1r0/1 1o1/1 1o2/1 1end@0.2:capture_over"},
		{"mid-stream, and a FIN of an end that hears nothing", []at{
			{0, b("PA", 700, 10)}, {200, b("FA", 710, 0)}, {300, ask},
		}, "1o1/0 1o2/0 1end@205:closed 2o1/0 2end@300:capture_over"},
		{"a FIN before the other end is heard ends the flow, whatever comes then", []at{
			{0, a("FA", 100, 0)}, {1, b("A", 500, 0)}, {4.5, b("A", 500, 0)}, {6, b("A", 500, 0)},
		}, "1o1/0 1r1/1 1r1/2 1end@5:closed 2o1/0 2end@6:capture_over"},
		{"the first packet of the other end is a FIN", []at{
			{0, a("PA", 100, 10)}, {1, b("FA", 500, 0)}, {4.5, a("PA", 110, 10)}, {20, a("PA", 120, 10)},
		}, "1o1/0 1r1/1 1o2/1 1o3/1 1end@20:capture_over"},
		{"FIN and RST of one end: looked at 6 s after the FIN, and 6 s after that", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("FA", 101, 0)}, {2, a("R", 102, 0)},
			{6.9, b("PA", 500, 10)}, {8, ask}, {12.9, b("PA", 510, 10)}, {25, ask},
		}, "1o1/0 1r1/1 1o2/1 1o3/1 1r3/2 2o1/0 1r3/3 1end@14:reset 2o2/0 2end@25:capture_over"},
		{"half-closed stays open", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("FA", 101, 0)}, {200, b("PA", 500, 10)}, {600, ask},
		}, "1o1/0 1r1/1 1o2/1 1r2/2 1end@500:quiet 2o1/0 2end@600:capture_over"},
		{"UDP", []at{
			{0, ask}, {1, answer}, {60.5, ask}, {121, ask},
		}, "1o1/0 1r1/1 1o2/1 1end@120.5:quiet 2o1/0 2end@121:capture_over"},
		{"quiet for exactly the time", []at{{0, ask}, {60, ask}},
			"1o1/0 1end@60:quiet 2o1/0 2end@60:capture_over"},
		{"ends in the order they are due", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {250, ask}, {251, a("R", 101, 0)}, {400, answer},
		}, "1o1/0 1r1/1 2o1/0 1o2/1 1end@256:reset 2end@310:quiet 3o1/0 3end@400:capture_over"},
		{"time that steps back", []at{
			{100, ask}, {40, answer}, {161, ask},
		}, "1o1/0 1r1/1 1end@160:quiet 2o1/0 2end@161:capture_over"},
		{"ICMP echo", []at{
			{0, icmp(hostA, hostB, 8, 0)}, {1, icmp(hostB, hostA, 0, 0)}, {2, icmp(hostA, hostB, 8, 0)},
			{3, icmp(hostB, hostA, 8, 0)},
		}, "1o1/0 1r1/1 1o2/1 2o1/0 1end@3:capture_over 2end@3:capture_over"},
		{"ICMP unreachable", []at{
			{0, icmp(hostA, hostB, 3, 3)}, {1, icmp(hostB, hostA, 3, 3)}, {2, icmp(hostA, hostB, 3, 1)},
			{3, icmp(hostA, hostB, 3, 3)},
		}, "1o1/0 2o1/0 3o1/0 1o2/0 2end@3:capture_over 3end@3:capture_over 1end@3:capture_over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &list{}
			for _, f := range c.frames {
				l.add(f.second, f.frame)
			}
			f := NewFlows(l, Options{})
			if got := summary(t, f); !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("events\n got %s\nwant %s", strings.Join(got, " "), c.want)
			}
			if f.soonest() != nil || len(f.open) != 0 {
				t.Errorf("%d flows are still open", len(f.open))
			}
		})
	}
}

func TestEventOfPacket(t *testing.T) {
	l := &list{}
	l.add(1, tcpFrom("a", "S", 1, 0, 0)) // 54 bytes, padded to 60 on Ethernet
	l.add(2, tcpFrom("b", "SA", 1, 2, 0))
	f := NewFlows(l, Options{})
	var ev Event
	for range 2 {
		if err := f.Next(&ev); err != nil {
			t.Fatal(err)
		}
		if len(ev.Frame) != 40 || ev.WireLen != 40 || ev.Link != packet.RawIP {
			t.Errorf("frame of %d bytes, %d on the wire, link %d", len(ev.Frame), ev.WireLen, ev.Link)
		}
		if h := ev.Headers; h.NetOff != 0 || h.TransOff != 20 || h.TransLen != 20 {
			t.Errorf("headers at %d, %d+%d", h.NetOff, h.TransOff, h.TransLen)
		}
		if ev.Tuple.SrcPort != portA || ev.Tuple.SrcAddr().String() != hostA {
			t.Errorf("the originator is %v port %d", ev.Tuple.SrcAddr(), ev.Tuple.SrcPort)
		}
	}
	if ev.OrigBytes != 60 || ev.RespBytes != 60 || ev.Dir != packet.Responder {
		t.Errorf("%d and %d bytes, direction %d", ev.OrigBytes, ev.RespBytes, ev.Dir)
	}
}

func TestErrorComesAfterTheEnds(t *testing.T) {
	broken := errors.New("broken")
	l := &list{err: broken}
	l.add(1, udp(hostA, hostB, 1, 2, nil))
	got := summary(t, NewFlows(l, Options{}))
	if want := []string{"1o1/0", "1end@1:capture_over", "broken"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSkipped(t *testing.T) {
	whole := udp(hostA, hostB, 1, 2, []byte("data"))
	damaged := slices.Clone(whole)
	damaged[14+28]++
	l := &list{}
	l.add(0, frames.Build(ethernet(layers.EthernetTypeARP), &layers.ARP{
		HwAddressSize: 6, ProtAddressSize: 4, SourceHwAddress: make([]byte, 6), DstHwAddress: make([]byte, 6),
		SourceProtAddress: make([]byte, 4), DstProtAddress: make([]byte, 4)}))
	l.add(0, damaged)
	l.add(0, whole[:38])
	l.recs[2].WireLen = len(whole)
	l.add(0, whole[:30])
	bad := slices.Clone(whole)
	bad[14] = 0x41 // a header of 4 bytes
	l.add(0, bad)
	l.add(0, whole)
	f := NewFlows(l, Options{})
	if got := strings.Join(summary(t, f), " "); got != "1o1/0 1end@0:capture_over" {
		t.Error(got)
	}
	want := Counts{Packets: 6, Flows: 1, Events: 1, Skipped: Skipped{NotIP: 1, Malformed: 1, Truncated: 2, Checksum: 1}}
	if got := f.Counts(); got != want || got.Events+got.Skipped.Sum() != got.Packets {
		t.Errorf("got %+v, want %+v", got, want)
	}
	l.at = 0
	f = NewFlows(l, Options{IgnoreChecksums: true})
	summary(t, f)
	if got := f.Counts(); got.Events != 2 || got.Skipped.Checksum != 0 {
		t.Errorf("with checksums ignored: %+v", got)
	}
}
