package suppress_test

import (
	"net/netip"
	"testing"

	"serveflow/sidecar/decide/suppress"
	"serveflow/sidecar/features/packet"
)

func tuple(src, dst string, port uint16, proto uint8) *packet.Tuple {
	t := &packet.Tuple{DstPort: port, Proto: proto}
	t.SetAddrs(netip.MustParseAddr(src), netip.MustParseAddr(dst))
	return t
}

func TestMatch(t *testing.T) {
	office := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
	rules := suppress.New([]suppress.Rule{
		{Label: "openvpn", Networks: office, Ports: []uint16{1194}},
		{Label: "tor", Below: .95},
		{Label: "icmp-tunnel", Ports: []uint16{0}},
	})
	for _, c := range []struct {
		label string
		tuple *packet.Tuple
		score float32
		want  bool
	}{
		{"openvpn", tuple("10.1.2.3", "192.0.2.1", 1194, packet.UDP), 1, true},
		{"openvpn", tuple("192.0.2.1", "10.1.2.3", 1194, packet.UDP), 1, true},
		{"openvpn", tuple("2001:db8::1", "2001:db9::1", 1194, packet.UDP), 1, true},
		{"openvpn", tuple("10.2.2.3", "192.0.2.1", 1194, packet.UDP), 1, false},
		{"openvpn", tuple("10.1.2.3", "192.0.2.1", 443, packet.UDP), 1, false},
		{"openvpn", &packet.Tuple{DstPort: 1194}, 1, false}, // no address is known
		{"tor", tuple("192.0.2.1", "192.0.2.2", 443, packet.TCP), .94, true},
		{"tor", tuple("192.0.2.1", "192.0.2.2", 443, packet.TCP), .95, false},
		{"dns", tuple("10.1.2.3", "192.0.2.1", 1194, packet.UDP), .1, false},
		// The code of ICMP is no port.
		{"icmp-tunnel", tuple("192.0.2.1", "192.0.2.2", 0, packet.ICMP), 1, false},
	} {
		if got := rules.Match(c.label, c.tuple, c.score); got != c.want {
			t.Errorf("%s %v %v: %v", c.label, c.tuple, c.score, got)
		}
	}
	hits := rules.Hits()
	if len(hits) != 3 || hits[0] != (suppress.Hit{Rule: 1, Label: "openvpn", Count: 3}) || hits[1].Count != 1 || hits[2].Count != 0 {
		t.Errorf("hits %v", hits)
	}
	none := suppress.New(nil)
	if none.Match("tor", hitless(), 0) || none.Hits() != nil {
		t.Error("no rules match something")
	}
	if n := testing.AllocsPerRun(100, func() { rules.Match("openvpn", hitless(), 1) }); n > 1 { // that of the tuple
		t.Errorf("%v allocations", n)
	}
}

func hitless() *packet.Tuple { return tuple("192.0.2.1", "192.0.2.2", 1194, packet.UDP) }
