package replay

import (
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// maxTunnels is how many tunnels inside each other are opened, as in Zeek
// (Tunnel::max_depth).
const maxTunnels = 2

// IP protocol numbers of tunnels, and of ESP.
const (
	protoIPv4 = 4  // RFC 2003
	protoIPv6 = 41 // RFC 4213, "6in4"
	protoGRE  = 47 // RFC 2784
	protoESP  = 50 // RFC 4303
)

// Ports of tunnels over UDP.
const (
	gtpPort    = 2152 // GTP-U, 3GPP TS 29.281
	teredoPort = 3544 // RFC 4380
	greUDPPort = 4754 // RFC 8086
	vxlanPort  = 4789 // RFC 7348
	genevePort = 6081 // RFC 8926
)

// open finds the packet inside a tunnel that the IDS opens. inner is of no use
// when it is false.
func (l *layer) open(inner *layer, rules Rules) bool {
	h := &l.headers
	if h.Fragment {
		return false
	}
	payload := l.frame[h.TransOff:l.end()]
	off, link := 0, packet.RawIP
	switch h.Tuple.Proto {
	case protoIPv4, protoIPv6:
		if rules == Suricata && h.Tuple.Proto == protoIPv4 && h.Tuple.Version == 4 {
			return false // 7 does not decode it
		}
	case protoGRE:
		off, link = gre(payload)
	case packet.UDP:
		if len(payload) <= udpHeader {
			return false
		}
		off, link = udpTunnel(h.Tuple.SrcPort, h.Tuple.DstPort, payload[udpHeader:], rules)
		off += udpHeader
	default:
		return false
	}
	if link == closed || off >= len(payload) {
		return false
	}
	*inner = layer{link: link, frame: payload[off:], wireLen: l.wireEnd() - h.TransOff - off, depth: l.depth + 1}
	if inner.parse() != nil {
		return false
	}
	if inner.headers.VLAN == [3]uint16{} {
		inner.headers.VLAN = h.VLAN // as Suricata passes them on
	}
	return true
}

const udpHeader = 8

// closed is the link of what is no tunnel or cannot be read.
const closed packet.Link = 1 << 31

// udpTunnel returns the content of a tunnel over UDP, and its offset. Zeek
// opens them whichever end has the port, and Teredo between any two; Suricata looks at
// the destination alone, but for Teredo, and does not open GTP and GRE over UDP.
func udpTunnel(src, dst uint16, b []byte, rules Rules) (off int, link packet.Link) {
	is := func(port uint16) bool { return dst == port || rules == Zeek && src == port }
	switch {
	case is(vxlanPort):
		return vxlan(b)
	case is(genevePort):
		return geneve(b)
	case src == teredoPort || dst == teredoPort || rules == Zeek && isTeredo(b):
		return teredo(b)
	case rules == Zeek && is(gtpPort):
		return gtp(b)
	case rules == Zeek && is(greUDPPort):
		return gre(b)
	}
	return 0, closed
}

// gre returns the content after a GRE header, and its offset: version 0 (RFC 2784, with
// the key and the sequence number of RFC 2890) with IP, Ethernet, MPLS or ERSPAN,
// or version 1 with PPP (PPTP, RFC 2637).
func gre(b []byte) (off int, link packet.Link) {
	if len(b) < 4 {
		return 0, closed
	}
	const checksum, routing, key, sequence, acknowledged, version = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 0x0007
	const ppp, erspan, erspan3, bridged = 0x880b, 0x88be, 0x22eb, 0x6558
	flags, typ := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if flags&routing != 0 {
		return 0, closed
	}
	optional := [...]uint16{checksum, key, sequence}
	switch flags & version {
	case 0:
	case 1:
		optional[0] = acknowledged
		if typ != ppp {
			return 0, closed
		}
	default:
		return 0, closed
	}
	off = 4
	for _, o := range optional {
		if flags&o != 0 {
			off += 4
		}
	}
	switch typ {
	case erspan: // types I, which has no header, and II
		if flags&sequence != 0 {
			off += 8
		}
		return off, packet.Content(bridged)
	case erspan3:
		const more = 1 // in the last byte: a header of a platform follows
		if len(b) < off+12 {
			return 0, closed
		}
		if b[off+11]&more != 0 {
			off += 8
		}
		return off + 12, packet.Content(bridged)
	}
	return off, packet.Content(typ)
}

// vxlan returns where the Ethernet frame begins.
func vxlan(b []byte) (off int, link packet.Link) {
	const header, instance = 8, 0x08
	if len(b) < header || b[0]&instance == 0 {
		return 0, closed
	}
	return header, packet.Ethernet
}

// geneve returns the content after the header and its options, and its offset.
func geneve(b []byte) (off int, link packet.Link) {
	const header, version, options = 8, 0xc0, 0x3f
	if len(b) < header || b[0]&version != 0 {
		return 0, closed
	}
	return header + 4*int(b[0]&options), packet.Content(binary.BigEndian.Uint16(b[2:]))
}

// gtp returns where the user's packet begins in a G-PDU of GTP version 1.
func gtp(b []byte) (off int, link packet.Link) {
	const header, version1, optional, extended, gpdu = 8, 0x30, 0x07, 0x04, 255
	if len(b) < header || b[0]&0xf0 != version1 || b[1] != gpdu {
		return 0, closed
	}
	off = header
	if b[0]&optional == 0 {
		return off, packet.RawIP
	}
	off += 4 // sequence number, N-PDU number, type of the first extension
	if len(b) < off {
		return 0, closed
	}
	if b[0]&extended == 0 {
		return off, packet.RawIP
	}
	for next := b[off-1]; next != 0; next = b[off-1] {
		if len(b) <= off || b[off] == 0 {
			return 0, closed
		}
		if off += 4 * int(b[off]); len(b) < off {
			return 0, closed
		}
	}
	return off, packet.RawIP
}

// isTeredo reports whether UDP carries an IPv6 packet of an address of Teredo: peers
// have ports of their own.
func isTeredo(b []byte) bool {
	const header, source, destination, prefix = 40, 8, 24, 0x20010000
	return len(b) >= header && b[0]>>4 == 6 &&
		(binary.BigEndian.Uint32(b[source:]) == prefix || binary.BigEndian.Uint32(b[destination:]) == prefix)
}

// teredo returns where the IPv6 packet begins, after the indications of RFC 4380
// that may come before.
func teredo(b []byte) (off int, link packet.Link) {
	const authentication, origin = 0x0001, 0x0000
	if len(b) >= 13 && binary.BigEndian.Uint16(b) == authentication {
		off = 13 + int(b[2]) + int(b[3]) // client identifier and authentication value
	}
	if len(b) >= off+8 && binary.BigEndian.Uint16(b[off:]) == origin {
		off += 8
	}
	if len(b) < off+40 || b[off]>>4 != 6 {
		return 0, closed
	}
	return off, packet.RawIP
}
