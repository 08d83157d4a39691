package packet

import "encoding/binary"

// ipv4 reads the IPv4 header at NetOff (RFC 791) and returns where the packet
// ends in frame.
func (h *Headers) ipv4(frame []byte) (end int, err error) {
	b := frame[h.NetOff:]
	if len(b) < 20 {
		return 0, ErrTruncated
	}
	h.NetLen = int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case h.NetLen < 20, total != 0 && total < h.NetLen:
		return 0, ErrMalformed
	case len(b) < h.NetLen:
		return 0, ErrTruncated
	}
	end = len(frame)
	if total != 0 {
		h.Length = int32(total)
		end = min(end, h.NetOff+total) // not the padding of short Ethernet frames
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	h.fragment(fragment&0x1fff != 0, fragment&0x2000 != 0)
	t := &h.Tuple
	t.Version, t.Proto = 4, b[9]
	copy(t.Src[:4], b[12:16])
	copy(t.Dst[:4], b[16:20])
	h.TransOff = h.NetOff + h.NetLen
	return end, nil
}

func (h *Headers) fragment(later, more bool) {
	h.Fragment = later
	h.First = more && !later
}

// Next header values of IPv6 extension headers (RFC 8200, 4302, 6275, 7401,
// 5533).
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extAuth     = 51
	extOptions  = 60
	extMobility = 135
	extHIP      = 139
	extShim6    = 140
)

// maxExtensions bounds the walk over extension headers. RFC 8200 names six
// kinds, one of them twice.
const maxExtensions = 16

// ipv6 reads the IPv6 header at NetOff (RFC 8200), walks the extension headers
// and returns where the packet ends in frame. Where the frame is cut inside an
// extension header, the protocol is that header's number.
func (h *Headers) ipv6(frame []byte) (end int, err error) {
	b := frame[h.NetOff:]
	if len(b) < 40 {
		return 0, ErrTruncated
	}
	h.NetLen = 40
	end = len(frame)
	if n := int(binary.BigEndian.Uint16(b[4:])); n != 0 {
		h.Length = int32(40 + n)
		end = min(end, h.NetOff+40+n)
	}
	t := &h.Tuple
	t.Version, t.Proto = 6, b[6]
	copy(t.Src[:], b[8:24])
	copy(t.Dst[:], b[24:40])
	h.TransOff = h.NetOff + 40
	for range maxExtensions {
		size := 0
		ext := frame[h.TransOff:end]
		switch t.Proto {
		case extHopByHop, extRouting, extOptions, extMobility, extHIP, extShim6:
			if len(ext) < 4 {
				return h.cut(end)
			}
			size = 8 + 8*int(ext[1])
			h.routed = h.routed || t.Proto == extRouting && ext[3] != 0
		case extAuth:
			if len(ext) < 4 {
				return h.cut(end)
			}
			size = 8 + 4*int(ext[1])
		case extFragment:
			if len(ext) < 8 {
				return h.cut(end)
			}
			size = 8
			field := binary.BigEndian.Uint16(ext[2:])
			h.fragment(field&0xfff8 != 0, field&1 != 0)
		default:
			return end, nil
		}
		if len(ext) < size {
			return h.cut(end)
		}
		t.Proto = ext[0]
		h.TransOff += size
		if h.Fragment {
			return end, nil // what follows is not the beginning of a header
		}
	}
	return 0, ErrMalformed
}

// cut ends the parsing of extension headers when the frame ends inside one. It is
// an error if the packet itself ends there.
func (h *Headers) cut(end int) (int, error) {
	if h.Length != Missing && end == h.NetOff+int(h.Length) {
		return 0, ErrMalformed
	}
	h.TransOff, h.undecodable = end, true
	return end, nil
}
