package replay

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/features/packet"
)

// TestSuricata: what Suricata counts otherwise than Zeek.
func TestSuricata(t *testing.T) {
	a := func(flags string, seq uint32, payload int) []byte { return tcpFrom("a", flags, seq, 500, payload) }
	b := func(flags string, seq uint32, payload int) []byte { return tcpFrom("b", flags, seq, 101, payload) }
	ask := udp(hostA, hostB, 5000, 53, []byte("question"))
	answer := udp(hostB, hostA, 53, 5000, []byte("answer"))
	ask6 := udp("2001:db8::1", "2001:db8::2", 5000, 53, []byte("question"))
	other := udp(hostA, hostB, 6000, 53, []byte("question"))
	spi := func(n byte) []byte { return append([]byte{0, 0, 0, n}, make([]byte, 36)...) }
	inside := append([]byte{0x08, 0, 0, 0, 0, 0, 7, 0}, ask...) // VXLAN 7
	tunnel := udp("192.0.2.8", "192.0.2.9", 7777, vxlanPort, inside)
	for _, c := range []struct {
		name   string
		frames []at
		want   string
	}{
		{"SYNs without an answer are one flow", []at{
			{0, a("S", 100, 0)}, {1, a("S", 100, 0)}, {3, a("S", 100, 0)}, {7, a("S", 100, 0)}, {70, ask},
		}, "1o1/0 1o2/0 1o3/0 1o4/0 1end@68:unanswered 2o1/0 2end@70:capture_over"},
		{"half of a handshake", []at{
			{0, a("S", 100, 0)}, {50, b("SA", 499, 0)}, {112, a("A", 101, 0)},
		}, "1o1/0 1r1/1 1end@111:quiet 2o1/0 2end@112:capture_over"},
		{"a handshake, half-closed", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {0, a("A", 101, 0)}, {1, a("FA", 101, 0)}, {600, b("PA", 500, 10)},
			{1201, ask},
		}, "1o1/0 1r1/1 1o2/1 1o3/1 1r3/2 1end@1201:quiet 2o1/0 2end@1201:capture_over"},
		{"closed, and packets that keep it", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {0, a("R", 101, 0)}, {59, b("PA", 500, 10)}, {118, b("PA", 500, 10)}, {179, ask},
		}, "1o1/0 1r1/1 1o2/1 1r2/2 1r2/3 1end@179:reset 2o1/0 2end@179:capture_over"},
		{"SYN after the close", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("FA", 101, 0)}, {1, b("FA", 500, 0)}, {2, a("S", 900, 0)},
		}, "1o1/0 1r1/1 1o2/1 1r2/2 1end@2:reused 2o1/0 2end@2:capture_over"},
		{"the same SYN after the close", []at{
			{0, a("S", 100, 0)}, {0, b("RA", 0, 0)}, {2, a("S", 100, 0)},
		}, "1o1/0 1r1/1 1o2/1 1end@2:reset"},
		{"another SYN while it is open", []at{
			{0, a("S", 100, 0)}, {0, b("SA", 499, 0)}, {1, a("S", 777, 0)},
		}, "1o1/0 1r1/1 1o2/1 1end@1:capture_over"},
		{"SYN after mid-stream", []at{
			{0, a("PA", 100, 9)}, {1, a("S", 777, 0)},
		}, "1o1/0 1end@1:reused 2o1/0 2end@1:capture_over"},
		{"SYN after its SYN-ACK", []at{
			{0, b("SA", 499, 0)}, {0, a("S", 100, 0)}, {1, a("A", 101, 0)},
		}, "1r0/1 1end@0:reused 2o1/0 2o2/0 2end@1:capture_over"},
		{"FIN and RST of one end, mid-stream", []at{
			{0, a("PA", 100, 9)}, {1, a("FA", 109, 0)}, {2, a("R", 110, 0)}, {64, ask},
		}, "1o1/0 1o2/0 1o3/0 1end@63:unanswered 2o1/0 2end@64:capture_over"},
		{"UDP of one end", []at{{0, ask}, {31, ask}}, "1o1/0 1end@31:quiet 2o1/0 2end@31:capture_over"},
		{"UDP, by whole seconds", []at{{.9, ask}, {30.95, ask}, {61, ask}}, "1o1/0 1o2/0 1end@61:quiet 2o1/0 2end@61:capture_over"},
		{"a clock that steps back", []at{{100, ask}, {0, answer}, {1, other}, {40, other}},
			"1o1/0 1r1/1 2o1/0 2end@40:quiet 3o1/0 3end@100:capture_over 1end@100:capture_over"},
		{"two VLANs", []at{{0, inVLAN(10, ask)}, {1, inVLAN(20, ask)}, {2, inVLAN(10, ask)}},
			"1o1/0 2o1/0 1o2/0 2end@2:capture_over 1end@2:capture_over"},
		{"in a tunnel and outside", []at{{0, tunnel}, {1, ask}},
			"1o1/0 2o1/0 3o1/0 1end@1:capture_over 2end@1:capture_over 3end@1:capture_over"},
		{"6in4 and its tunnel", []at{{0, tunnelled(t, protoIPv6, ask6[14:])}}, "1o1/0 2o1/0 1end@0:capture_over 2end@0:capture_over"},
		{"ESP, by its SPI", []at{{0, tunnelled(t, protoESP, spi(1))}, {1, tunnelled(t, protoESP, spi(2))}, {2, tunnelled(t, protoESP, spi(1))}},
			"1o1/0 2o1/0 1o2/0 2end@2:capture_over 1end@2:capture_over"},
		{"UDP of both", []at{{0, ask}, {1, answer}, {300, ask}}, "1o1/0 1r1/1 1o2/1 1end@300:capture_over"},
		{"a tunnel", []at{{0, tunnel}, {1, tunnel}},
			"1o1/0 2o1/0 1o2/0 2o2/0 1end@1:capture_over 2end@1:capture_over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &list{}
			for _, f := range c.frames {
				l.add(f.second, f.frame)
			}
			f := NewFlows(l, Options{Rules: Suricata})
			if got := summary(t, f); !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("events\n got %s\nwant %s", strings.Join(got, " "), c.want)
			}
			if n := f.Counts(); n.Packets != uint64(len(c.frames)) || n.Events != n.Packets {
				t.Errorf("%+v", n)
			}
		})
	}
}

// TestSuricata8: what 8 counts otherwise than 7.
func TestSuricata8(t *testing.T) {
	ask := udp(hostA, hostB, 5000, 53, []byte("question"))
	answer := udp(hostB, hostA, 53, 5000, []byte("answer"))
	inside := tunnelled(t, protoIPv4, ask[14:])
	for _, c := range []struct {
		name         string
		frames       []at
		seven, eight string
	}{
		{"UDP of one end, exactly its time", []at{{.5, ask}, {30.5, ask}},
			"1o1/0 1o2/0 1end@30.5:capture_over", "1o1/0 1end@30.5:quiet 2o1/0 2end@30.5:capture_over"},
		{"a little less", []at{{.5, ask}, {30.499999, ask}},
			"1o1/0 1o2/0 1end@30.499999:capture_over", "1o1/0 1o2/0 1end@30.499999:capture_over"},
		{"the second is later, the time is not", []at{{.9, ask}, {31.1, ask}},
			"1o1/0 1end@31:quiet 2o1/0 2end@31.1:capture_over", "1o1/0 1end@30.9:quiet 2o1/0 2end@31.1:capture_over"},
		{"both ends", []at{{.5, ask}, {.6, answer}, {300.65, ask}},
			"1o1/0 1r1/1 1o2/1 1end@300.65:capture_over", "1o1/0 1r1/1 1end@300.6:quiet 2o1/0 2end@300.65:capture_over"},
		{"a clock that steps back", []at{{100, ask}, {40, answer}, {71, answer}},
			"1o1/0 1r1/1 1r1/2 1end@100:capture_over", "1o1/0 1r1/1 1r1/2 1end@100:capture_over"},
		{"IPv4 in IPv4", []at{{0, inside}}, "", "1o1/0 2o1/0 1end@0:capture_over 2end@0:capture_over"},
	} {
		for rules, want := range map[Rules]string{Suricata: c.seven, Suricata8: c.eight} {
			l := &list{}
			for _, f := range c.frames {
				l.add(f.second, f.frame)
			}
			if got := summary(t, NewFlows(l, Options{Rules: rules})); !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%s, %v: events\n got %s\nwant %s", c.name, rules, strings.Join(got, " "), want)
			}
		}
	}
}

// TestSuricataResets: which RST is an answer to a SYN, and so ends the flow for the next
// SYN; tried with 7.0.10 and 8.0.8.
func TestSuricataResets(t *testing.T) {
	for _, c := range []struct {
		name, from, flags string
		seq, ack          uint32
		want              int // flows
	}{
		{"an answer", "b", "RA", 0, 101, 2},
		{"an answer that acknowledges nothing", "b", "R", 0, 0, 2},
		{"an acknowledgement without its flag", "b", "R", 0, 102, 2},
		{"a flag without acknowledgement", "b", "RA", 0, 0, 2},
		{"of another SYN", "b", "RA", 0, 102, 1},
		{"with a number", "b", "R", 2222, 0, 1},
		{"with a number and an acknowledgement", "b", "RA", 500, 101, 1},
		{"the originator's own", "a", "R", 100, 0, 1},
		{"the originator's own, of the next number", "a", "R", 101, 0, 1},
	} {
		for rules, want := range map[Rules]int{Suricata: c.want, Suricata8: c.want, Zeek: 2} {
			l := &list{}
			l.add(0, tcpFrom("a", "S", 100, 0, 0))
			l.add(1, tcpFrom(c.from, c.flags, c.seq, c.ack, 0))
			l.add(2, tcpFrom("a", "S", 900, 0, 0))
			f := NewFlows(l, Options{Rules: rules})
			summary(t, f)
			if got := f.Counts().Flows; got != uint64(want) {
				t.Errorf("%s, %v: %d flows, want %d", c.name, rules, got, want)
			}
		}
	}
}

// TestSuricataWantsWholePackets: of a packet that was not captured whole, or whose length
// is not known, Suricata has no flow.
func TestSuricataWantsWholePackets(t *testing.T) {
	whole := udp(hostA, hostB, 5000, 53, make([]byte, 100))
	whole6 := udp("2001:db8::1", "2001:db8::2", 5000, 53, make([]byte, 100))
	offloaded := slices.Clone(whole)
	offloaded[16], offloaded[17] = 0, 0
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint64
	}{
		{"whole", whole, 1}, {"whole, IPv6", whole6, 1}, {"padded", append(slices.Clone(whole), 0, 0, 0), 1},
		{"cut", whole[:60], 0}, {"cut, IPv6", whole6[:80], 0}, {"without a length", offloaded, 0},
	} {
		for rules, want := range map[Rules]uint64{Suricata: c.want, Suricata8: c.want, Zeek: 1} {
			l := &list{}
			l.add(0, c.frame)
			l.recs[0].WireLen = len(whole6)
			f := NewFlows(l, Options{Rules: rules, IgnoreChecksums: true})
			summary(t, f)
			if got := f.Counts(); got.Flows != want || got.Skipped.Truncated != 1-want {
				t.Errorf("%s, %v: %+v", c.name, rules, got)
			}
		}
	}
}

// inVLAN puts a tag into an Ethernet frame.
func inVLAN(id byte, frame []byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, 0, id}, frame[12:])
}

// TestProtocolsWithoutFlows: of what Suricata does not decode there is no flow.
func TestProtocolsWithoutFlows(t *testing.T) {
	for rules, want := range map[Rules]Counts{
		Zeek:     {Packets: 2, Flows: 2, Events: 2},
		Suricata: {Packets: 2, Skipped: Skipped{Protocol: 2}},
	} {
		l := &list{}
		l.add(0, tunnelled(t, 89, make([]byte, 24)))           // OSPF
		l.add(0, tunnelled(t, protoGRE, greHeader(0, 0x0806))) // GRE with ARP
		f := NewFlows(l, Options{Rules: rules})
		summary(t, f)
		if got := f.Counts(); got != want {
			t.Errorf("%v: %+v, want %+v", rules, got, want)
		}
	}
}

// TestZeekLookups: sessions of DNS end sooner than others, when Zeek looks at them
// after each 10 s.
func TestZeekLookups(t *testing.T) {
	ask := udp(hostA, hostB, 5000, 53, []byte("question"))
	answer := udp(hostB, hostA, 53, 5000, []byte("answer"))
	other := udp(hostA, hostB, 5000, 54, []byte("question"))
	for _, c := range []struct {
		frames []at
		want   string
	}{
		{[]at{{0, ask}, {9.5, ask}, {18, ask}, {29.9, ask}}, "1o1/0 1o2/0 1o3/0 1end@28:quiet 2o1/0 2end@29.9:capture_over"},
		{[]at{{0, answer}, {41, ask}, {41.2, answer}}, "1o1/0 1end@10:quiet 2o1/0 2r1/1 2end@41.2:capture_over"},
		{[]at{{0, other}, {59, other}, {120, other}}, "1o1/0 1o2/0 1end@119:quiet 2o1/0 2end@120:capture_over"},
		{[]at{{1000, other}, {0, ask}, {1, ask}}, "1o1/0 2o1/0 2end@1000:quiet 3o1/0 3end@1000:quiet 1end@1000:capture_over"},
	} {
		l := &list{}
		for _, f := range c.frames {
			l.add(f.second, f.frame)
		}
		if got := summary(t, NewFlows(l, Options{})); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("events\n got %s\nwant %s", strings.Join(got, " "), c.want)
		}
	}
}

// resets is a capture of connections of which one end closes and then resets: all
// FINs come within 3 s, then the RSTs in the reverse order.
type resets struct{ flows, at int }

func (r *resets) Next(rec *Record) error {
	begun, turn := 3*r.flows, r.at
	r.at++
	n, time, frame := 0, int64(0), []byte(nil)
	switch {
	case turn < begun:
		n, time = turn/3, int64(turn/3)*3*second/int64(r.flows)
		frame = [][]byte{segment(n, true, flagACK), segment(n, false, flagACK), segment(n, false, flagFIN|flagACK)}[turn%3]
	case turn < begun+r.flows:
		n, time = r.flows-1-(turn-begun), 3*second+int64(turn-begun)*second/int64(r.flows)
		frame = segment(n, false, flagRST)
	default:
		return io.EOF
	}
	*rec = Record{Time: time, Link: packet.RawIP, Frame: frame, WireLen: len(frame)}
	return nil
}

// segment is a TCP packet of connection n, without checksums.
func segment(n int, reply bool, flags byte) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, byte(len(b)), 64, packet.TCP
	client, server := b[12:16], b[16:20]
	from, to := b[20:22], b[22:24]
	if reply {
		client, server, from, to = server, client, to, from
	}
	copy(server, []byte{10, 0, 0, 1})
	copy(client, []byte{10, 1, byte(n >> 24), byte(n >> 16)})
	binary.BigEndian.PutUint16(from, uint16(n))
	binary.BigEndian.PutUint16(to, 80)
	b[32], b[33] = 0x50, flags
	return b
}

// TestManyResets: how long flows take that one end has reset does not grow with the
// square of their number. Searching a list for their places would take minutes.
func TestManyResets(t *testing.T) {
	const flows = 200_000
	f := NewFlows(&resets{flows: flows}, Options{IgnoreChecksums: true})
	began := time.Now()
	var ev Event
	due, ended := int64(0), 0
	for {
		err := f.Next(&ev)
		if err == io.EOF {
			break
		}
		if took := time.Since(began); err != nil || took > time.Minute {
			t.Fatalf("%d flows have ended after %v: %v", ended, took, err)
		}
		if ev.Kind != EndEvent {
			continue
		}
		ended++
		if ev.Cause != Reset || ev.Time < due || ev.OrigPkts+ev.RespPkts != 4 {
			t.Fatalf("%+v", ev)
		}
		due = ev.Time
	}
	if ended != flows {
		t.Errorf("%d flows, want %d", ended, flows)
	}
}
