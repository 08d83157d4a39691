package packet

import "encoding/binary"

// EtherTypes (IANA "IEEE 802 Numbers"), PPP protocols (RFC 1661, 5072, 3032), and
// what has no number of its own.
const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100 // IEEE 802.1Q
	etherQinQ   = 0x88a8 // IEEE 802.1ad
	etherQinQ1  = 0x9100 // QinQ before 802.1ad
	etherPPPoE  = 0x8864 // session stage, RFC 2516
	etherMPLS   = 0x8847 // RFC 3032
	etherMPLS2  = 0x8848 // multicast, or a label of upstream (RFC 5332)
	etherPBB    = 0x88e7 // IEEE 802.1ah, provider backbone bridges
	etherVNTag  = 0x8926 // Cisco VN-Tag, IEEE 802.1BR's forerunner
	etherFabric = 0x8903 // Cisco FabricPath
	etherNSH    = 0x894f // RFC 8300
	bridged     = 0x6558 // an Ethernet frame
	pppFrame    = 0x880b // PPP
	maxLength3  = 1500   // up to here it is a length (IEEE 802.3), and LLC follows
	llc         = 0

	pppIPv4 = 0x0021
	pppIPv6 = 0x0057
	pppMPLS = 0x0281
)

// maxSteps bounds the headers between the link layer and IP: Ethernet, tags, stacks of
// labels, frames in frames.
const maxSteps = 9

// above skips the headers from off, where a header of the given type begins, to the
// IP header.
func above(frame []byte, off int, typ uint16, vlan *[3]uint16) (int, error) {
	tags := 0
	for range maxSteps {
		size, at := 0, 0 // of the header at off, and where in it the next type is
		switch typ {
		case etherIPv4, etherIPv6:
			return off, nil
		case bridged:
			size, at = 14, 12
		case etherVLAN, etherQinQ, etherQinQ1:
			size, at = 4, 2
			if tags < len(vlan) && len(frame) >= off+2 {
				vlan[tags] = binary.BigEndian.Uint16(frame[off:]) & 0x0fff
				tags++
			}
		case etherPBB: // service tag, then the customer's Ethernet header
			size, at = 18, 16
		case etherVNTag:
			size, at = 6, 4
		case etherFabric: // tag, then the inner Ethernet header
			size, at = 16, 14
		case etherMPLS, etherMPLS2:
			var err error
			if off, typ, err = mpls(frame, off); err != nil {
				return 0, err
			}
			continue
		case etherNSH:
			var err error
			if off, typ, err = nsh(frame, off); err != nil {
				return 0, err
			}
			continue
		case etherPPPoE:
			off += 6
			fallthrough
		case pppFrame:
			var err error
			if off, typ, err = ppp(frame, off); err != nil {
				return 0, err
			}
			continue
		default:
			if typ > maxLength3 {
				return 0, ErrNotIP
			}
			// LLC and SNAP (IEEE 802.2), with a type that is an EtherType.
			if len(frame) < off+8 {
				return 0, ErrTruncated
			}
			if frame[off] != 0xaa || frame[off+1] != 0xaa || frame[off+2] != 3 {
				return 0, ErrNotIP
			}
			size, at = 8, 6
		}
		if len(frame) < off+size {
			return 0, ErrTruncated
		}
		typ = binary.BigEndian.Uint16(frame[off+at:])
		off += size
	}
	return 0, ErrMalformed
}

// mpls skips a label stack. Its payload type is not encoded (RFC 3032): the first
// half byte identifies IP, and a pseudowire's control word (RFC 4385) Ethernet.
func mpls(frame []byte, off int) (int, uint16, error) {
	const bottom = 1 // in the third byte of a label
	for range maxSteps {
		if len(frame) < off+5 {
			return 0, 0, ErrTruncated
		}
		last := frame[off+2]&bottom != 0
		off += 4
		if !last {
			continue
		}
		switch frame[off] >> 4 {
		case 4:
			return off, etherIPv4, nil
		case 6:
			return off, etherIPv6, nil
		case 0:
			return off + 4, bridged, nil
		}
		return off, bridged, nil
	}
	return 0, 0, ErrMalformed
}

// nsh skips a network service header.
func nsh(frame []byte, off int) (int, uint16, error) {
	if len(frame) < off+8 {
		return 0, 0, ErrTruncated
	}
	size := 4 * int(frame[off+1]&0x3f)
	if size < 8 {
		return 0, 0, ErrMalformed
	}
	switch frame[off+3] {
	case 1:
		return off + size, etherIPv4, nil
	case 2:
		return off + size, etherIPv6, nil
	case 3:
		return off + size, bridged, nil
	case 5:
		return off + size, etherMPLS, nil
	}
	return 0, 0, ErrNotIP
}

// ppp skips the header of PPP, with or without HDLC's address and control, and with
// a protocol of two bytes or, compressed, one (RFC 1661).
func ppp(frame []byte, off int) (int, uint16, error) {
	if len(frame) >= off+2 && frame[off] == 0xff && frame[off+1] == 0x03 {
		off += 2
	}
	if len(frame) < off+2 {
		return 0, 0, ErrTruncated
	}
	protocol, size := uint16(frame[off]), 1
	if protocol&1 == 0 {
		protocol, size = binary.BigEndian.Uint16(frame[off:]), 2
	}
	switch protocol {
	case pppIPv4:
		return off + size, etherIPv4, nil
	case pppIPv6:
		return off + size, etherIPv6, nil
	case pppMPLS:
		return off + size, etherMPLS, nil
	}
	return 0, 0, ErrNotIP
}
