package feature

import "serveflow/sidecar/features/packet"

// bitsOf has the bits of each byte as columns, highest bit first.
var bitsOf = func() (table [256][8]float32) {
	for b := range table {
		for i := range 8 {
			table[b][i] = float32(b >> (7 - i) & 1)
		}
	}
	return table
}()

// Encode writes the row of a flow to the first Width values of dst. flow is the
// flow's first packets in order; those beyond Packets are used for shapes only, and
// missing ones read as missing. Encode does not allocate.
func (p *Plan) Encode(dst []float32, flow []packet.Packet) {
	dst = dst[:len(p.blank)]
	copy(dst, p.blank)
	if len(flow) > 0 {
		p.encodeFlow(dst, &flow[0])
	}
	encodeShapes(dst, p.shapes, flow)
	var sum totals
	for k := range p.packets {
		want := &p.packets[k]
		if k < len(flow) {
			pk := &flow[k]
			for sec := range headers {
				if h := &want.headers[sec]; len(h.bytes)+len(h.bits) > 0 {
					if b := header(pk, sec); len(b) > 0 {
						h.encode(dst, b, p.hidden(pk, sec, b))
					}
				}
			}
			encodeSeq(dst, want.seq, flow, k)
			sum.add(pk)
		}
		sum.encode(dst, want.first)
	}
}

// header returns the bytes of a packet's header, empty if it has none of that
// kind.
func header(pk *packet.Packet, sec section) []byte {
	is := false
	switch sec {
	case ipv4:
		is = pk.Version == 4
	case ipv6:
		is = pk.Version == 6
	case tcp:
		is = pk.Proto == packet.TCP
	case udp:
		is = pk.Proto == packet.UDP
	case icmp:
		is = pk.Proto == packet.ICMP || pk.Proto == packet.ICMPv6
	}
	switch {
	case !is:
		return nil
	case sec == ipv4 || sec == ipv6:
		return pk.Header[:pk.NetLen]
	}
	return pk.Header[pk.NetLen:][:pk.TransLen]
}

// encode writes the bits of header b. Bit n of hidden hides byte n.
func (h *headerPlan) encode(dst []float32, b []byte, hidden uint64) {
	for _, c := range h.bytes {
		if int(c.offset) >= len(b) {
			break
		}
		if hidden>>c.offset&1 == 0 {
			*(*[8]float32)(dst[c.at:]) = bitsOf[b[c.offset]]
		}
	}
	for _, c := range h.bits {
		if int(c.offset) >= len(b) {
			break
		}
		if hidden>>c.offset&1 == 0 {
			dst[c.at] = float32(b[c.offset] >> c.shift & 1)
		}
	}
}
