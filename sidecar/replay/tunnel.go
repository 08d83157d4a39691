package replay

import (
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// layer is one IP packet in a frame: the outermost, or one in a tunnel.
type layer struct {
	link    packet.Link
	frame   []byte
	wireLen int // length on the wire, from where frame begins
	headers packet.Headers
}

func (l *layer) parse() error {
	if err := packet.Parse(&l.headers, l.link, l.frame); err != nil {
		return err
	}
	l.headers.FillLength(l.wireLen)
	return nil
}

// end returns where the IP packet ends in the frame, before any padding.
func (l *layer) end() int {
	if l.headers.Length == packet.Missing {
		return len(l.frame)
	}
	return min(len(l.frame), l.headers.NetOff+int(l.headers.Length))
}

// wireEnd returns where the IP packet ends on the wire.
func (l *layer) wireEnd() int {
	if l.headers.Length == packet.Missing {
		return l.wireLen
	}
	return min(l.wireLen, l.headers.NetOff+int(l.headers.Length))
}

// complete says whether enough was captured to tell the packet's flow: the
// fixed part of the transport header, as Zeek asks for.
func (l *layer) complete() bool {
	need := 0
	switch t := &l.headers.Tuple; t.Proto {
	case packet.TCP:
		need = 20
	case packet.SCTP:
		need = 12
	case packet.UDP, packet.ICMP, packet.ICMPv6:
		need = 8
	case 0, 43, 44, 51, 60, 135, 139, 140:
		// In IPv6 these are extension headers, and the frame is cut before
		// the transport's.
		return t.Version != 6
	}
	return l.headers.TransLen >= need
}

// maxTunnels is how many tunnels inside each other are opened, as in Zeek
// (Tunnel::max_depth).
const maxTunnels = 2

// IP protocol numbers of tunnels.
const (
	protoIPv4 = 4  // RFC 2003
	protoIPv6 = 41 // RFC 4213, "6in4"
	protoGRE  = 47 // RFC 2784
)

// open finds the packet inside a tunnel. inner is of no use when it is false.
func (l *layer) open(inner *layer) bool {
	h := &l.headers
	if h.Fragment {
		return false
	}
	payload := l.frame[h.TransOff:l.end()]
	off, link := 0, packet.RawIP
	switch h.Tuple.Proto {
	case protoIPv4, protoIPv6:
	case protoGRE:
		off, link = gre(payload)
	case packet.UDP:
		if h.Tuple.DstPort != vxlanPort {
			return false
		}
		off, link = vxlan(payload)
	default:
		return false
	}
	if off < 0 || off >= len(payload) {
		return false
	}
	*inner = layer{link: link, frame: payload[off:], wireLen: l.wireEnd() - h.TransOff - off}
	return inner.parse() == nil
}

// gre returns where the content of a GRE packet begins (RFC 2784, with the key
// and the sequence number of RFC 2890), -1 where it cannot be read.
func gre(b []byte) (off int, link packet.Link) {
	if len(b) < 4 {
		return -1, 0
	}
	const checksum, routing, key, sequence, version = 0x8000, 0x4000, 0x2000, 0x1000, 0x0007
	flags := binary.BigEndian.Uint16(b)
	if flags&(routing|version) != 0 {
		return -1, 0
	}
	off = 4
	for _, optional := range [...]uint16{checksum, key, sequence} {
		if flags&optional != 0 {
			off += 4
		}
	}
	switch binary.BigEndian.Uint16(b[2:]) {
	case 0x0800, 0x86dd:
		return off, packet.RawIP
	case 0x6558: // transparent Ethernet bridging
		return off, packet.Ethernet
	}
	return -1, 0
}

const vxlanPort = 4789

// vxlan returns where the Ethernet frame begins behind the UDP header of a
// VXLAN packet (RFC 7348), -1 where it is none.
func vxlan(b []byte) (off int, link packet.Link) {
	const header, instance = 8, 0x08
	if len(b) < 8+header || b[8]&instance == 0 {
		return -1, 0
	}
	return 8 + header, packet.Ethernet
}
