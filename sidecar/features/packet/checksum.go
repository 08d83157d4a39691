package packet

import "encoding/binary"

// ChecksumsOK verifies the checksums of a parsed frame as an IDS does: IPv4 header,
// TCP, UDP, ICMP and ICMPv6 (RFC 1071, pseudo-headers of RFC 9293 and RFC 8200).
// What cannot be verified passes: fragments, cut frames, packets of unknown length,
// and IPv6 packets whose final destination is in a routing header. So does a UDP
// checksum of 0, which means none.
func ChecksumsOK(h *Headers, frame []byte) bool {
	if h.Tuple.Version == 4 && fold(sum(0, frame[h.NetOff:h.NetOff+h.NetLen])) != 0xffff {
		return false
	}
	end := h.NetOff + int(h.Length)
	if h.Length == Missing || end > len(frame) || h.Fragment || h.First || h.routed {
		return true
	}
	b := frame[h.TransOff:end]
	switch h.Tuple.Proto {
	case TCP:
	case UDP:
		if h.TransLen < 8 || binary.BigEndian.Uint16(b[6:]) == 0 {
			return true
		}
		if n := int(binary.BigEndian.Uint16(b[4:])); n >= 8 && n < len(b) {
			b = b[:n]
		}
	case ICMP:
		return fold(sum(0, b)) == 0xffff
	case ICMPv6:
	default:
		return true
	}
	return fold(sum(h.pseudo(len(b)), b)) == 0xffff
}

// pseudo sums the pseudo-header of a transport of n bytes.
func (h *Headers) pseudo(n int) uint64 {
	t := &h.Tuple
	s := uint64(t.Proto) + uint64(n>>16) + uint64(n&0xffff)
	// IPv4 addresses are followed by zeros, which add nothing.
	return sum(sum(s, t.Src[:]), t.Dst[:])
}

// sum adds the 16-bit words of b to s; a last odd byte is padded with zero.
func sum(s uint64, b []byte) uint64 {
	for len(b) >= 4 {
		s += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// fold reduces a sum to the ones' complement sum of 16 bits.
func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
