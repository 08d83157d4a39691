package packet

import "encoding/binary"

// Link is what a frame begins with. Values are those of tcpdump's LINKTYPE_
// registry, except for Look and Content.
type Link uint32

// The links that Parse reads.
const (
	// Look makes Parse detect the link: a plausible IP header at the first byte,
	// else Ethernet. Its value, 0, is LINKTYPE_NULL in captures: see LinkOf.
	Look      Link = 0
	Ethernet  Link = 1
	PPP       Link = 9 // with or without the address and control bytes of HDLC
	FDDI      Link = 10
	PPPSerial Link = 50 // PPP in HDLC, or Cisco HDLC
	PPPoE     Link = 51 // session stage, without Ethernet
	RawIP     Link = 101
	CiscoHDLC Link = 104
	WiFi      Link = 105 // IEEE 802.11
	Loopback  Link = 108 // 4 bytes of address family, in either byte order
	LinuxSLL  Link = 113 // Linux cooked capture
	Radiotap  Link = 127 // in front of IEEE 802.11
	NFLOG     Link = 239 // Linux netfilter log
	LinuxSLL2 Link = 276 // Linux cooked capture, version 2
)

// Content is the link of a frame that begins with the payload of an EtherType, as
// in GRE.
func Content(etherType uint16) Link { return content | Link(etherType) }

const content Link = 1 << 16 // link types of captures have 16 bits

// LinkOf is the Link of a capture file's link type; false if Parse cannot read such
// frames.
func LinkOf(linktype uint32) (Link, bool) {
	switch linktype {
	case 0: // LINKTYPE_NULL
		return Loopback, true
	case 12, 14, 228, 229: // DLT_RAW of some systems, LINKTYPE_IPV4, LINKTYPE_IPV6
		return RawIP, true
	}
	switch l := Link(linktype); l {
	case Ethernet, PPP, FDDI, PPPSerial, PPPoE, RawIP, CiscoHDLC, WiFi, Loopback, LinuxSLL, Radiotap, NFLOG, LinuxSLL2:
		return l, true
	}
	return 0, false
}

// network returns the offset of the IP header, which may be beyond the frame, and
// records VLANs.
func network(link Link, frame []byte, vlan *[3]uint16) (int, error) {
	switch link {
	case Look:
		if looksRaw(frame) {
			return 0, nil
		}
		return above(frame, 0, bridged, vlan)
	case Ethernet:
		return above(frame, 0, bridged, vlan)
	case RawIP:
		return 0, nil
	case Loopback:
		// The family's number differs between systems; the version in the
		// IP header, which Parse reads next, tells enough.
		return 4, nil
	case LinuxSLL:
		return etherType(frame, 14, vlan)
	case LinuxSLL2:
		if len(frame) < 20 {
			return 0, ErrTruncated
		}
		return above(frame, 20, binary.BigEndian.Uint16(frame), vlan)
	case CiscoHDLC:
		return etherType(frame, 2, vlan)
	case PPPSerial:
		if len(frame) > 0 && frame[0] != 0xff { // Cisco's addresses are 0x0f and 0x8f
			return etherType(frame, 2, vlan)
		}
		return above(frame, 0, pppFrame, vlan)
	case PPP:
		return above(frame, 0, pppFrame, vlan)
	case PPPoE:
		return above(frame, 0, etherPPPoE, vlan)
	case FDDI:
		return above(frame, 13, llc, vlan)
	case WiFi:
		return wifi(frame, 0, vlan)
	case Radiotap:
		if len(frame) < 4 {
			return 0, ErrTruncated
		}
		return wifi(frame, int(binary.LittleEndian.Uint16(frame[2:])), vlan)
	case NFLOG:
		return nflog(frame)
	}
	if link&content != 0 {
		return above(frame, 0, uint16(link), vlan)
	}
	return 0, ErrNotIP
}

// etherType reads the type at off and continues from there.
func etherType(frame []byte, off int, vlan *[3]uint16) (int, error) {
	if len(frame) < off+2 {
		return 0, ErrTruncated
	}
	return above(frame, off+2, binary.BigEndian.Uint16(frame[off:]), vlan)
}

// wifi finds the payload of an IEEE 802.11 frame at off: of a data frame without
// encryption. Of several packets in one frame (A-MSDU) it finds the first.
func wifi(frame []byte, off int, vlan *[3]uint16) (int, error) {
	const data, noData, qos = 0x08, 0x40, 0x80 // in the first byte
	const bothDS, protected, order = 0x03, 0x40, 0x80
	if len(frame) < off+24 {
		return 0, ErrTruncated
	}
	b := frame[off:]
	if b[0]&0x0f != data || b[0]&noData != 0 || b[1]&protected != 0 {
		return 0, ErrNotIP
	}
	size := 24
	if b[1]&bothDS == bothDS {
		size += 6 // a fourth address
	}
	if b[0]&qos != 0 {
		if len(b) < size+2 {
			return 0, ErrTruncated
		}
		several := b[size]&0x80 != 0
		size += 2
		if b[1]&order != 0 {
			size += 4 // HT control
		}
		if several {
			size += 14 // addresses and length of the first
		}
	}
	return above(frame, off+size, llc, vlan)
}

// nflog finds the packet in a message of Linux's netfilter log: a header of 4
// bytes, then fields in the byte order of the host, which is assumed to be
// little-endian.
func nflog(frame []byte) (int, error) {
	const payload = 9
	for off := 4; ; {
		if len(frame) < off+4 {
			return 0, ErrTruncated
		}
		n := int(binary.LittleEndian.Uint16(frame[off:]))
		if binary.LittleEndian.Uint16(frame[off+2:])&0x7fff == payload {
			return off + 4, nil
		}
		if n < 4 {
			return 0, ErrMalformed
		}
		off += (n + 3) &^ 3
	}
}
