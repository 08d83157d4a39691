package packet

// MaxHeader bounds the header bytes a Packet keeps: an IPv4 header with all
// its options and a TCP header with all of its own.
const MaxHeader = 60 + 60

// Packet is what a flow keeps of one packet: its headers, and of the payload only
// its Shape. It is comparable.
type Packet struct {
	// Time is the capture time in µs since the epoch.
	Time int64
	// Length is the IP packet's length in bytes, Missing if unknown.
	Length int32
	// Payload counts the bytes that the transport carries, Missing if unknown.
	Payload int32
	// SrcPort and DstPort are the ports as in Tuple.
	SrcPort, DstPort uint16
	// Dir is the direction, as fixed by the flow's first packet.
	Dir Dir
	// Proto is the IP protocol number of the transport; 0 if a headerless tap does
	// not send it.
	Proto uint8
	// Version is 4 or 6; 0 for a headerless tap, whose packets have no Header.
	Version uint8
	// NetLen and TransLen count the bytes of Header: first the network header
	// (IPv6 without extension headers), then the transport header as far as it was
	// captured.
	NetLen, TransLen uint8
	Header           [MaxHeader]byte
	// Shape is the shape of the payload, if SetPayload was called.
	Shape Shape
}

// Silent says that the first packets of a flow are of TCP or UDP and carry no
// payload.
func Silent(flow []Packet) bool {
	for i := range flow {
		if flow[i].Payload != 0 || flow[i].Proto != TCP && flow[i].Proto != UDP {
			return false
		}
	}
	return len(flow) > 0
}

// SetFrame overwrites p with what Parse found in frame, for a packet with headers.
// ts is in µs since the epoch.
func (p *Packet) SetFrame(h *Headers, frame []byte, ts int64, dir Dir) {
	*p = Packet{
		Time:     ts,
		Length:   h.Length,
		Payload:  h.Payload,
		SrcPort:  h.Tuple.SrcPort,
		DstPort:  h.Tuple.DstPort,
		Dir:      dir,
		Proto:    h.Tuple.Proto,
		Version:  h.Tuple.Version,
		NetLen:   uint8(h.NetLen),
		TransLen: uint8(h.TransLen),
	}
	copy(p.Header[:h.NetLen], frame[h.NetOff:])
	copy(p.Header[h.NetLen:h.NetLen+h.TransLen], frame[h.TransOff:])
}

// SetMeta overwrites p with the fields of a headerless tap: the endpoints as far as
// known, the time in µs since the epoch and the payload in bytes, Missing if
// unknown.
func (p *Packet) SetMeta(t Tuple, ts int64, dir Dir, payload int32) {
	*p = Packet{
		Time:    ts,
		Length:  Missing,
		Payload: payload,
		SrcPort: t.SrcPort,
		DstPort: t.DstPort,
		Dir:     dir,
		Proto:   t.Proto,
	}
}
