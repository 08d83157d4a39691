package packet

import "encoding/binary"

// looksRaw distinguishes a frame that begins with an IP header from Ethernet. Many
// MAC addresses begin like an IPv6 header, and an IP address can look like an
// EtherType: if both are plausible the IPv4 checksum decides, and without one it is
// Ethernet, which has more conditions.
func looksRaw(frame []byte) bool {
	if !plausibleIP(frame) {
		return false
	}
	if frame[0]>>4 == 4 && headerSum(frame) == 0 {
		return true
	}
	off, err := above(frame, 0, bridged, new([3]uint16))
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
