package packet

import "encoding/binary"

// transport reads the transport header at TransOff: TCP (RFC 9293), UDP (RFC
// 768), ICMP (RFC 792), ICMPv6 (RFC 4443), SCTP (RFC 9260). frame ends where
// the IP packet does, or earlier where it is cut.
func (h *Headers) transport(frame []byte) error {
	if h.Fragment || h.undecodable {
		return nil
	}
	b := frame[h.TransOff:]
	rest := Missing // what the IP packet carries, captured or not
	if h.Length != Missing {
		rest = int(h.Length) - (h.TransOff - h.NetOff)
	}
	t := &h.Tuple
	switch t.Proto {
	case TCP:
		if len(b) > 12 {
			h.header = int(b[12]>>4) * 4
			if h.header < 20 {
				return ErrMalformed
			}
		}
		if len(b) >= 16 {
			h.TCPFlags = binary.BigEndian.Uint16(b[12:]) & 0x1ff
			h.Window = int32(binary.BigEndian.Uint16(b[14:]))
		}
		t.ports(b)
		h.TransLen = min(len(b), 20)
		if h.header != Missing {
			h.TransLen = min(len(b), h.header)
		}
	case UDP:
		h.header = 8
		t.ports(b)
		h.TransLen = min(len(b), 8)
		if len(b) >= 6 && !h.First {
			// 0 stands for a length that IP alone knows (RFC 2675, offload).
			switch n := int(binary.BigEndian.Uint16(b[4:])); {
			case n != 0 && n < 8:
				return ErrMalformed
			case n != 0 && (rest == Missing || n < rest):
				rest = n
			}
		}
	case ICMP, ICMPv6:
		h.header = 8
		if len(b) >= 2 {
			t.SrcPort, t.DstPort = uint16(b[0]), uint16(b[1])
		}
		h.TransLen = min(len(b), 8)
		if rest != Missing {
			rest = max(rest, 8) // some messages are shorter: nothing follows
		}
	case SCTP:
		h.header = 12
		t.ports(b)
		h.TransLen = min(len(b), 12)
	default:
		h.header = 0
	}
	if rest == Missing || h.header == Missing {
		return nil
	}
	if rest < h.header {
		if h.First {
			return nil // a fragment so small that it splits the header
		}
		return ErrMalformed
	}
	h.Payload = int32(rest - h.header)
	return nil
}

func (t *Tuple) ports(b []byte) {
	if len(b) >= 4 {
		t.SrcPort = binary.BigEndian.Uint16(b)
		t.DstPort = binary.BigEndian.Uint16(b[2:])
	}
}
