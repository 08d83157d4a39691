package packet

import "errors"

// Errors of Parse.
var (
	// ErrTruncated: the frame ends before its IP header does.
	ErrTruncated = errors.New("frame is truncated before the end of the IP header")
	// ErrNotIP: the frame carries no IPv4 or IPv6 packet.
	ErrNotIP = errors.New("frame is not IP")
	// ErrMalformed: lengths in the headers contradict each other.
	ErrMalformed = errors.New("malformed header")
)

// Headers is the result of Parse. Offsets count from the frame's first byte.
type Headers struct {
	// Tuple is the endpoints. Ports are 0 in a fragment that is not the first and
	// if the frame is cut before them.
	Tuple Tuple
	// NetOff and NetLen are the place and length of the IP header: IPv4 with
	// its options, IPv6 without extension headers (always 40).
	NetOff, NetLen int
	// TransOff is where the payload of the IP packet begins, after IPv6 extension
	// headers; at most the frame's length. TransLen counts the bytes of the
	// transport header in the frame: TCP with its options, UDP 8, ICMP 8, SCTP 12,
	// other protocols 0. It is less if the frame is cut, and 0 in a fragment that
	// is not the first.
	TransOff, TransLen int
	// Length is the IP packet's length in bytes by its own header, Missing if that
	// says 0, as with segmentation offload (see FillLength).
	Length int32
	// VLAN holds the identifiers of up to three VLAN tags, the outermost first;
	// 0 where there is none.
	VLAN [3]uint16
	// Payload is the length in bytes of the transport's payload by the headers,
	// whether captured or not. In a first fragment it counts that fragment alone;
	// in later ones, and if the headers do not say, it is Missing.
	Payload int32
	// Fragment: a fragment that is not the first and has no transport header.
	Fragment bool
	// First: the first of several fragments.
	First bool
	// TCPFlags holds NS CWR ECE URG ACK PSH RST SYN FIN, FIN lowest. 0 and
	// meaningless where Window is Missing.
	TCPFlags uint16
	// Window is the TCP window as it stands in the header, not scaled.
	// Missing when the packet is not TCP or cut before it.
	Window int32

	// header is the whole length of the transport header, captured or not; Missing
	// if it is not known.
	header int
	// undecodable: the frame is cut inside an IPv6 extension header.
	undecodable bool
	// routed: an IPv6 routing header has segments left, so the destination in the
	// checksum's pseudo-header is not that of the IP header.
	routed bool
}

// Parse reads the link-layer, IP and transport headers of frame into h, which is
// overwritten. After ErrNotIP, ErrTruncated or ErrMalformed, h is not valid. A
// frame that is cut after its IP header is no error: see Headers.TransLen.
func Parse(h *Headers, link Link, frame []byte) error {
	*h = Headers{Length: Missing, Payload: Missing, Window: Missing, header: Missing}
	off, err := network(link, frame, &h.VLAN)
	if err != nil {
		return err
	}
	if off >= len(frame) {
		return ErrTruncated
	}
	h.NetOff = off
	end := 0
	switch frame[off] >> 4 {
	case 4:
		end, err = h.ipv4(frame)
	case 6:
		end, err = h.ipv6(frame)
	default:
		return ErrNotIP
	}
	if err != nil {
		return err
	}
	return h.transport(frame[:end])
}

// PayloadOf is the captured payload of the parsed frame; empty if the transport
// header is not whole. Padding of the frame may follow it.
func (h *Headers) PayloadOf(frame []byte) []byte {
	if h.header == Missing || h.TransLen != h.header {
		return nil
	}
	return frame[h.TransOff+h.TransLen:]
}

// FillLength sets Length and Payload of a packet whose IP header says 0 from the
// frame's length on the wire, in bytes from the beginning of the parsed frame. A
// length in the header is not changed.
func (h *Headers) FillLength(wireLen int) {
	if h.Length != Missing || wireLen < h.TransOff || wireLen-h.NetOff > maxLength {
		return
	}
	h.Length = int32(wireLen - h.NetOff)
	if h.Payload == Missing && h.header != Missing && !h.Fragment {
		if rest := wireLen - h.TransOff - h.header; rest >= 0 {
			h.Payload = int32(rest)
		}
	}
}

// maxLength bounds the length of one IP packet in bytes: far beyond what
// segmentation offload makes (512 KiB), well inside an int32 and exact in a
// float32.
const maxLength = 1 << 24
