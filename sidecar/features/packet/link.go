package packet

import "encoding/binary"

// Link names what a frame begins with. Values are those of the LINKTYPE_
// registry of tcpdump, but for Look.
type Link uint32

// The links that Parse reads.
const (
	// Look leaves it to Parse: a plausible IP header at the first byte, else
	// Ethernet. Its value, 0, is LINKTYPE_NULL in captures: see LinkOf.
	Look      Link = 0
	Ethernet  Link = 1
	RawIP     Link = 101
	Loopback  Link = 108 // 4 bytes of address family, in either byte order
	LinuxSLL  Link = 113 // Linux cooked capture
	LinuxSLL2 Link = 276 // Linux cooked capture, version 2
)

// LinkOf translates the link type of a capture file. It is false where Parse
// cannot read such frames.
func LinkOf(linktype uint32) (Link, bool) {
	switch linktype {
	case 0: // LINKTYPE_NULL
		return Loopback, true
	case 12, 14, 228, 229: // DLT_RAW of some systems, LINKTYPE_IPV4, LINKTYPE_IPV6
		return RawIP, true
	}
	switch l := Link(linktype); l {
	case Ethernet, RawIP, Loopback, LinuxSLL, LinuxSLL2:
		return l, true
	}
	return 0, false
}

// EtherTypes (IANA "IEEE 802 Numbers") and PPP protocols (RFC 1661, 5072).
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100 // IEEE 802.1Q
	etherQinQ  = 0x88a8 // IEEE 802.1ad
	etherQinQ1 = 0x9100 // QinQ before 802.1ad
	etherPPPoE = 0x8864 // session stage, RFC 2516
	pppIPv4    = 0x0021
	pppIPv6    = 0x0057
)

// maxTags bounds the VLAN tags of one frame.
const maxTags = 8

// network returns the offset of the IP header, which may lie beyond the frame.
func network(link Link, frame []byte) (int, error) {
	switch link {
	case Look:
		if looksRaw(frame) {
			return 0, nil
		}
		return ethernet(frame)
	case Ethernet:
		return ethernet(frame)
	case RawIP:
		return 0, nil
	case Loopback:
		// The family's number differs between systems; the version in the
		// IP header, which Parse reads next, tells enough.
		return 4, nil
	case LinuxSLL:
		return etherType(frame, 14)
	case LinuxSLL2:
		if len(frame) < 20 {
			return 0, ErrTruncated
		}
		return above(frame, 20, binary.BigEndian.Uint16(frame))
	}
	return 0, ErrNotIP
}

func ethernet(frame []byte) (int, error) { return etherType(frame, 12) }

// etherType reads the type at off and goes on behind it.
func etherType(frame []byte, off int) (int, error) {
	if len(frame) < off+2 {
		return 0, ErrTruncated
	}
	return above(frame, off+2, binary.BigEndian.Uint16(frame[off:]))
}

// above skips what stands between a link-layer header that ends at off and
// names typ as its content, and the IP header.
func above(frame []byte, off int, typ uint16) (int, error) {
	for range maxTags {
		switch typ {
		case etherIPv4, etherIPv6:
			return off, nil
		case etherVLAN, etherQinQ, etherQinQ1:
			if len(frame) < off+4 {
				return 0, ErrTruncated
			}
			typ = binary.BigEndian.Uint16(frame[off+2:])
			off += 4
		case etherPPPoE:
			if len(frame) < off+8 {
				return 0, ErrTruncated
			}
			switch binary.BigEndian.Uint16(frame[off+6:]) {
			case pppIPv4, pppIPv6:
				return off + 8, nil
			}
			return 0, ErrNotIP
		default:
			return 0, ErrNotIP
		}
	}
	return 0, ErrMalformed
}

// looksRaw tells a frame that begins with an IP header from Ethernet. Many MAC
// addresses begin like an IPv6 header, and an IP address can look like an
// EtherType: where both readings are plausible the IPv4 checksum decides, and
// without one Ethernet, whose reading asks for more.
func looksRaw(frame []byte) bool {
	if !plausibleIP(frame) {
		return false
	}
	if frame[0]>>4 == 4 && headerSum(frame) == 0 {
		return true
	}
	off, err := ethernet(frame)
	if err != nil || off >= len(frame) || !plausibleIP(frame[off:]) {
		return true
	}
	inner := frame[off:]
	offloaded := binary.BigEndian.Uint16(inner[10:]) == 0
	return inner[0]>>4 == 4 && headerSum(inner) != 0 && !offloaded
}

// plausibleIP reports whether b could begin with a whole IP header.
func plausibleIP(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		size := int(b[0]&15) * 4
		total := int(binary.BigEndian.Uint16(b[2:]))
		return size >= 20 && size <= len(b) && (total == 0 || total >= size)
	case 6:
		if len(b) < 40 || len(b) > 40+int(binary.BigEndian.Uint16(b[4:])) {
			return false
		}
		switch b[6] {
		case TCP, UDP, ICMPv6, SCTP, extHopByHop, extRouting, extFragment, extAuth, extOptions,
			4, 41, 47, 50: // IPv4, IPv6, GRE, ESP
			return true
		}
	}
	return false
}

// headerSum is the Internet checksum over the IPv4 header at b, which
// plausibleIP has accepted: 0 when it is right.
func headerSum(b []byte) uint16 {
	return ^fold(sum(0, b[:int(b[0]&15)*4]))
}
