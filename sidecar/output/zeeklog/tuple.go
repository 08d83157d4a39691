package zeeklog

import (
	"bytes"
	"net/netip"
	"strconv"

	"serveflow/sidecar/features/packet"
)

// Tuple returns the endpoints of a flow as Zeek or Suricata writes them; for ICMP,
// ports are type and code. ok is false unless there are two addresses of one kind;
// an unreadable port or protocol is 0.
func Tuple(src, sport, dst, dport, proto []byte) (t packet.Tuple, ok bool) {
	t = packet.Tuple{SrcPort: port(sport), DstPort: port(dport), Proto: protocol(proto)}
	if !t.SetAddrs(Addr(src), Addr(dst)) {
		return packet.Tuple{}, false
	}
	if t.Version == 6 && t.Proto == packet.ICMP { // Zeek says icmp to both
		t.Proto = packet.ICMPv6
	}
	return t, true
}

// Addr reads an address; IPv4 in IPv6 is IPv4. An invalid one, or one with a zone,
// is the zero Addr.
func Addr(b []byte) netip.Addr {
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func port(b []byte) uint16 {
	n, err := strconv.ParseUint(string(b), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

var protocols = [...]struct {
	name []byte
	n    uint8
}{
	{[]byte("tcp"), packet.TCP},
	{[]byte("udp"), packet.UDP},
	{[]byte("icmp"), packet.ICMP},
	{[]byte("ipv6-icmp"), packet.ICMPv6},
	{[]byte("sctp"), packet.SCTP},
}

// protocol reads a protocol as Zeek (tcp, icmp) and Suricata (TCP, IPv6-ICMP)
// name it, or its number; 0 if it is neither.
func protocol(b []byte) uint8 {
	for _, p := range protocols {
		if bytes.EqualFold(b, p.name) {
			return p.n
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}
