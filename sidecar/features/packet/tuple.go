package packet

import "net/netip"

// Tuple is the two endpoints of a packet or flow. It is comparable and has no
// pointers, so it can be a map key.
type Tuple struct {
	// Src and Dst are the addresses; IPv4 uses the first 4 bytes.
	Src, Dst [16]byte
	// SrcPort and DstPort are the ports of TCP, UDP and SCTP. For ICMP and
	// ICMPv6 they hold type and code. 0 where the packet has none.
	SrcPort, DstPort uint16
	// Proto is the IP protocol number of the transport. In IPv6 it is the next
	// header value after the extension headers.
	Proto uint8
	// Version is 4 or 6; 0 when no address is known.
	Version uint8
}

// Reverse returns the tuple as the other end sees it. Type and code of ICMP
// belong to neither end and stay.
func (t Tuple) Reverse() Tuple {
	t.Src, t.Dst = t.Dst, t.Src
	if t.Proto != ICMP && t.Proto != ICMPv6 {
		t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	}
	return t
}

// SetAddrs sets both addresses and the version. It returns false, and changes
// nothing, unless both are IPv4 or both are IPv6.
func (t *Tuple) SetAddrs(src, dst netip.Addr) bool {
	switch {
	case src.Is4() && dst.Is4():
		s, d := src.As4(), dst.As4()
		t.Src, t.Dst, t.Version = [16]byte{}, [16]byte{}, 4
		copy(t.Src[:], s[:])
		copy(t.Dst[:], d[:])
	case src.Is6() && dst.Is6():
		t.Src, t.Dst, t.Version = src.As16(), dst.As16(), 6
	default:
		return false
	}
	return true
}

// SrcAddr returns the source address; the zero Addr when none is known.
func (t Tuple) SrcAddr() netip.Addr { return addr(t.Version, &t.Src) }

// DstAddr returns the destination address; the zero Addr when none is known.
func (t Tuple) DstAddr() netip.Addr { return addr(t.Version, &t.Dst) }

func addr(version uint8, b *[16]byte) netip.Addr {
	switch version {
	case 4:
		return netip.AddrFrom4([4]byte(b[:4]))
	case 6:
		return netip.AddrFrom16(*b)
	}
	return netip.Addr{}
}
