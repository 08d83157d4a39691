package feature

import "serveflow/sidecar/features/packet"

// hidden returns the bytes of a packet's header b that masks hide in this
// packet and perhaps not in others: bit n stands for byte n, and no header is
// longer than 60 bytes.
func (p *Plan) hidden(pk *packet.Packet, sec section, b []byte) uint64 {
	var hidden uint64
	switch sec {
	case tcp, udp:
		if p.masks&MaskEphemeralPorts != 0 {
			src, dst := ephemeral(pk)
			if src {
				hidden = 0b11
			}
			if dst {
				hidden |= 0b1100
			}
		}
	case icmp:
		if p.masks&icmpMask(pk.Proto, b[0]) != 0 {
			hidden = 0b1111_0000
		}
	}
	if set := p.options[sec]; set != 0 && len(b) > optionsAt {
		kinds := uint8(0xff)
		if sec == ipv4 {
			kinds = 31 // without the class and the "copied" flag
		}
		hidden |= hiddenOptions(b, set, kinds)
	}
	return hidden
}

// ephemeralFrom is the lowest ephemeral port: 32768 in Linux, 49152 in RFC 6335.
const ephemeralFrom = 32768

// ephemeral reports which of a packet's ports MaskEphemeralPorts hides. If the
// direction is unknown, either end may be the originator; if the frame is cut
// between the ports, both are hidden.
func ephemeral(pk *packet.Packet) (src, dst bool) {
	if pk.TransLen < 4 {
		return true, true
	}
	src = pk.SrcPort >= ephemeralFrom ||
		pk.Dir != packet.Responder && pk.SrcPort >= 1024 && pk.SrcPort != pk.DstPort
	dst = pk.DstPort >= ephemeralFrom ||
		pk.Dir != packet.Originator && pk.DstPort >= 1024 && pk.DstPort != pk.SrcPort
	return src, dst
}

// icmpMask returns the mask that hides the rest of the header of an ICMP
// message (RFC 792, 950, 8335; RFC 4443 for version 6).
func icmpMask(proto, typ uint8) Mask {
	if proto == packet.ICMPv6 {
		switch typ {
		case 128, 129, 160, 161: // echo, extended echo
			return MaskIdentifiers
		}
		return 0
	}
	switch typ {
	case 0, 8, 13, 14, 15, 16, 17, 18, 42, 43: // echo, timestamp, information, address mask, extended echo
		return MaskIdentifiers
	case 5: // redirect
		return MaskAddresses
	}
	return 0
}

// optionsAt is where options begin, in IPv4 and in TCP.
const optionsAt = 20

// optionSet is a set of option kinds: TCP's kind, of IPv4 the number in the
// lower 5 bits of the type. Both have the same format.
type optionSet uint64

// maskedOptions returns the options whose values masks hide.
func maskedOptions(masks Mask) (set [headers]optionSet) {
	for _, o := range []struct {
		sec  section
		kind uint8
		mask Mask
	}{
		{ipv4, 3, MaskAddresses}, // loose source route
		{ipv4, 4, MaskAddresses}, // timestamps, with addresses
		{ipv4, 7, MaskAddresses}, // record route
		{ipv4, 9, MaskAddresses}, // strict source route
		{tcp, 5, MaskTCPSequence},
		{tcp, 8, MaskTCPTimestamps},
		{tcp, 19, MaskChecksums},   // MD5 signature
		{tcp, 29, MaskChecksums},   // authentication option
		{tcp, 30, MaskIdentifiers}, // Multipath TCP
		{tcp, 34, MaskIdentifiers}, // Fast Open
	} {
		if o.mask&masks != 0 {
			set[o.sec] |= 1 << o.kind
		}
	}
	return set
}

// hiddenOptions returns the bytes of the values of those options of header b that
// are in set, once their kinds are reduced to the bits of kinds. Kind and length
// stay visible. After an option with an invalid length everything is hidden,
// because it cannot be parsed.
func hiddenOptions(b []byte, set optionSet, kinds uint8) uint64 {
	var hidden uint64
	for i := optionsAt; i < len(b); {
		kind := b[i]
		switch kind {
		case 0: // end of options
			return hidden
		case 1: // padding
			i++
			continue
		}
		if i+1 >= len(b) {
			return hidden
		}
		size := int(b[i+1])
		if size < 2 {
			return hidden | ^uint64(0)<<i
		}
		if kind &= kinds; kind < 64 && set>>kind&1 != 0 {
			hidden |= (1<<(size-2) - 1) << (i + 2)
		}
		i += size
	}
	return hidden
}
