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
	depth   uint8
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

// whole reports whether all of the IP packet was captured, by the length in its header.
func (l *layer) whole() bool {
	ip := l.frame[l.headers.NetOff:]
	length := int(binary.BigEndian.Uint16(ip[2:]))
	if l.headers.Tuple.Version == 6 {
		length = ipv6Header + int(binary.BigEndian.Uint16(ip[4:]))
	}
	return length <= len(ip) && length >= l.headers.TransOff-l.headers.NetOff
}

const ipv6Header = 40

// complete reports whether enough was captured to determine the packet's flow: the
// fixed part of the transport header, as in Zeek.
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
