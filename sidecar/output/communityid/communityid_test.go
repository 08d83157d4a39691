package communityid

import (
	"net/netip"
	"testing"

	"serveflow/sidecar/features/packet"
)

func tuple(proto uint8, src string, sport uint16, dst string, dport uint16) packet.Tuple {
	t := packet.Tuple{Proto: proto, SrcPort: sport, DstPort: dport}
	t.SetAddrs(netip.MustParseAddr(src), netip.MustParseAddr(dst))
	return t
}

// The published values: the baseline of the specification's repository and the
// tests of its reference implementation, pycommunityid, all with seed 0.
func TestVectors(t *testing.T) {
	const (
		ne1 = "fe80::200:86ff:fe05:80da"
		ne2 = "fe80::260:97ff:fe07:69ea"
		net = "3ffe:507:0:1:200:86ff:fe05:80da"
		hub = "3ffe:507:0:1:260:97ff:fe07:69ea"
		web = "2001:470:e5bf:dead:4957:2174:e82c:4887"
		smt = "2607:f8b0:400c:c03::1a"
	)
	for _, v := range []struct {
		proto        uint8
		src, dst     string
		sport, dport uint16
		want         string
	}{
		{6, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{6, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{6, web, smt, 63943, 25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{6, smt, web, 25, 63943, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{17, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
		{132, "192.168.170.56", "192.168.170.8", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
		{132, "192.168.170.8", "192.168.170.56", 7, 80, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
		{132, "192.168.170.56", "192.168.170.8", 80, 7, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
		{46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
		{46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},

		// ICMP: an echo and its reply are one flow; a type that gets no answer
		// keeps its direction and its code.
		{1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, "192.168.0.1", "192.168.0.89", 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, "192.168.0.1", "192.168.0.89", 0, 20, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, "192.168.0.89", "192.168.0.1", 20, 0, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="},
		{1, "192.168.0.89", "192.168.0.1", 20, 1, "1:tz/fHIDUHs19NkixVVoOZywde+I="},
		{1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="},

		// ICMPv6, by type and code and, as the baseline has it, by type and
		// answering type.
		{58, ne1, ne2, 135, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{58, ne2, ne1, 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{58, ne1, ne2, 135, 136, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{58, ne2, ne1, 135, 136, "1:zavyT/cezQr1fmImYCwYnMXbgck="},
		{58, ne1, ne2, 136, 135, "1:zavyT/cezQr1fmImYCwYnMXbgck="},
		{58, hub, net, 3, 0, "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w="},
		{58, net, hub, 3, 0, "1:/OGBt9BN1ofenrmSPWYicpij2Vc="},
		{58, "3ffe:501:1800:2345::2", net, 3, 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
		{58, "3ffe:501:410:0:2c0:dfff:fe47:33e", net, 1, 4, "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
		{58, net, "3ffe:501:0:1001::2", 128, 129, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
		{58, "3ffe:501:0:1001::2", net, 129, 128, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
		{58, ne1, "ff02::2", 133, 134, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
		{58, ne2, "ff02::1", 134, 133, "1:pkvHqCL88/tg1k4cPigmZXUtL00="},
	} {
		if got := Of(tuple(v.proto, v.src, v.sport, v.dst, v.dport)); got != v.want {
			t.Errorf("%d %s %d -> %s %d: %s, want %s", v.proto, v.src, v.sport, v.dst, v.dport, got, v.want)
		}
	}
}

func TestEdges(t *testing.T) {
	for name, none := range map[string]packet.Tuple{
		"no address":  {Proto: 6, SrcPort: 1},
		"no protocol": {Version: 4},
	} {
		if got := Of(none); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Equal addresses: the ports decide.
	a := Of(tuple(6, "10.0.0.1", 10, "10.0.0.1", 20))
	b := Of(tuple(6, "10.0.0.1", 20, "10.0.0.1", 10))
	if a != b {
		t.Errorf("%s is not %s", a, b)
	}
	// IPv4 is 4 bytes, whatever the rest of the array holds.
	dirty := tuple(6, "10.0.0.1", 10, "10.0.0.1", 20)
	dirty.Src[15] = 1
	if got := Of(dirty); got != a {
		t.Errorf("%s, want %s", got, a)
	}
}

func BenchmarkAppend(b *testing.B) {
	ends := tuple(6, "128.232.110.120", 34855, "66.35.250.204", 80)
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], ends)
	}
}
