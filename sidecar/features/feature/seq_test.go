package feature

import (
	"testing"

	"serveflow/sidecar/features/packet"
)

// tcpPacket returns a packet as if parsed from IPv4 and TCP without options.
func tcpPacket(time int64, dir packet.Dir, src, dst uint16, payload int32, flags, window uint16) packet.Packet {
	p := packet.Packet{
		Time: time, Dir: dir, SrcPort: src, DstPort: dst, Payload: payload, Length: 40 + payload,
		Proto: packet.TCP, Version: 4, NetLen: 20, TransLen: 20,
	}
	p.Header[20+12], p.Header[20+13] = 0x50|byte(flags>>8), byte(flags)
	p.Header[20+14], p.Header[20+15] = byte(window>>8), byte(window)
	return p
}

func TestSeq(t *testing.T) {
	const orig, resp = packet.Originator, packet.Responder
	web := []packet.Packet{
		tcpPacket(1000, orig, 50000, 443, 0, 0x002, 64240),
		tcpPacket(1007, resp, 443, 50000, 0, 0x012, 65535),
		tcpPacket(1008, orig, 50000, 443, 517, 0x018, 502),
		tcpPacket(1007, resp, 443, 50000, 1400, 0x1ff, 501), // out of order
	}
	offloaded := []packet.Packet{tcpPacket(0, resp, 443, 50000, 1<<20, 0, 0)}
	offloaded[0].Length = packet.Missing
	fragments := []packet.Packet{
		{Dir: orig, Proto: packet.UDP, Version: 4, NetLen: 20, TransLen: 8, SrcPort: 5, DstPort: 53, Length: 1500, Payload: 1472},
		{Dir: orig, Proto: packet.UDP, Version: 4, NetLen: 20, Length: 600, Payload: packet.Missing},
		{Dir: resp, Proto: packet.UDP, Version: 4, NetLen: 20, TransLen: 8, SrcPort: 53, DstPort: 5, Length: 100, Payload: 72},
	}
	cut := web[:1:1]
	cut = append(cut, web[1])
	cut[1].TransLen = 15 // the flags are there, the window is not
	var meta, blind packet.Packet
	meta.SetMeta(packet.Tuple{SrcPort: 50000, DstPort: 53, Proto: packet.UDP}, 9, orig, 33)
	blind.SetMeta(packet.Tuple{}, 9, packet.Unknown, packet.Missing)
	ping := []packet.Packet{{Dir: orig, Proto: packet.ICMP, Version: 4, SrcPort: 8, Length: 84, Payload: 56}}
	ephemeral := []packet.Packet{tcpPacket(0, resp, 32768, 2000, 1, 0, 0)}

	for _, c := range []struct {
		name string
		flow []packet.Packet
		want map[string]float32
	}{
		{"web", web, map[string]float32{
			"proto": 6, "resp_port": 443,
			"p1_dir": 0, "p2_dir": 1, "p3_payload": 517, "p4_payload": -1400, "p2_payload": 0, "p3_len": 557,
			"p1_gap": 0, "p2_gap": 3, "p3_gap": 1, "p4_gap": 0,
			"p1_flags": 2, "p4_flags": 511, "p1_window": 64240, "p2_window": 65535,
			"first1_orig_pkts": 1, "first1_resp_pkts": 0, "first1_duration": 0,
			"first3_orig_pkts": 2, "first3_resp_pkts": 1, "first3_orig_bytes": 517, "first3_resp_bytes": 0,
			"first2_duration": 3, "first4_duration": 3, "first4_resp_bytes": 1400,
			// no more packets than four
			"first9_orig_pkts": 2, "first9_resp_bytes": 1400, "first9_duration": 3,
			"p5_dir": -1, "p5_payload": -65536, "p5_len": -1, "p5_gap": -1, "p5_flags": -1, "p5_window": -1,
		}},
		{"offloaded", offloaded, map[string]float32{"p1_payload": -65535, "p1_len": -1, "first1_resp_bytes": 65535}},
		{"fragments", fragments, map[string]float32{
			"p2_payload": -65536, "p2_len": 600, "first1_orig_bytes": 1472, "first2_orig_bytes": -1,
			"first3_orig_bytes": -1, "first3_resp_bytes": 72, "first3_orig_pkts": 2, "p1_flags": -1, "p1_window": -1,
		}},
		{"cut", cut, map[string]float32{"p2_flags": 0x12, "p2_window": -1}},
		{"no headers", []packet.Packet{meta}, map[string]float32{
			"proto": 17, "resp_port": 53, "p1_dir": 0, "p1_payload": 33, "p1_gap": 0, "first1_orig_bytes": 33,
			"p1_len": -1, "p1_flags": -1, "p1_window": -1, "p1_ipv4_ver_0": -1, "p1_udp_sport_0": -1,
		}},
		{"nothing known", []packet.Packet{blind}, map[string]float32{
			"proto": -1, "resp_port": -1, "p1_dir": -1, "p1_payload": -65536, "first1_orig_pkts": 0, "first1_resp_pkts": 0,
		}},
		{"ping has a type and no ports", ping, map[string]float32{"proto": 1, "resp_port": -1, "icmp_type": 8, "p1_payload": 56}},
		{"ephemeral responder", ephemeral, map[string]float32{"resp_port": -1}},
		{"empty", nil, map[string]float32{"proto": -1, "first3_orig_pkts": 0, "first3_duration": 0, "p1_gap": -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, want := range c.want {
				if got := encode(t, []string{name}, MaskAll, c.flow)[0]; got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
		})
	}
	if got := encode(t, []string{"resp_port"}, 0, ephemeral)[0]; got != 32768 {
		t.Errorf("unmasked resp_port is %v, want 32768", got)
	}
}

func TestEphemeral(t *testing.T) {
	const orig, resp, unknown = packet.Originator, packet.Responder, packet.Unknown
	for _, c := range []struct {
		dir              packet.Dir
		src, dst         uint16
		hideSrc, hideDst bool
	}{
		{orig, 50000, 443, true, false},
		{resp, 443, 50000, false, true},
		{orig, 1024, 443, true, false},
		{orig, 1023, 443, false, false},
		{orig, 5353, 5353, false, false},
		{orig, 40000, 40000, true, true},
		{orig, 68, 67, false, false},
		{orig, 2000, 32767, true, false},
		{orig, 2000, 32768, true, true},
		{resp, 32768, 2000, true, true},
		{resp, 32767, 443, false, false},
		{unknown, 50000, 443, true, false},
		{unknown, 443, 2000, false, true},
		{unknown, 3000, 2000, true, true},
	} {
		p := packet.Packet{Dir: c.dir, SrcPort: c.src, DstPort: c.dst, TransLen: 8}
		if src, dst := ephemeral(&p); src != c.hideSrc || dst != c.hideDst {
			t.Errorf("direction %d, %d > %d: hides %v, %v", c.dir, c.src, c.dst, src, dst)
		}
	}
	if src, dst := ephemeral(&packet.Packet{TransLen: 3}); !src || !dst {
		t.Error("ports that are cut are visible")
	}
}
