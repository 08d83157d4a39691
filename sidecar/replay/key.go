package replay

import (
	"bytes"
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// flowKey identifies a flow, the same for both directions.
type flowKey struct {
	packet.Tuple
	// To Suricata, flows of two VLANs are two, and so are those in a tunnel and
	// outside.
	vlan  [3]uint16
	depth uint8
}

// key returns the key of a packet's flow. reverse: the packet goes from the key's
// Dst to its Src.
func (r Rules) key(l *layer) (key flowKey, reverse bool) {
	h := &l.headers
	key.Tuple, reverse = bothWays(h.Tuple)
	if r != Zeek {
		key.vlan, key.depth = h.VLAN, l.depth
		if spi := l.frame[h.TransOff:]; h.Tuple.Proto == protoESP && len(spi) >= 4 {
			key.SrcPort, key.DstPort = binary.BigEndian.Uint16(spi), binary.BigEndian.Uint16(spi[2:])
		}
	}
	return key, reverse
}

// bothWays returns a tuple that is the same for both directions.
func bothWays(t packet.Tuple) (key packet.Tuple, reverse bool) {
	if t.Proto == packet.ICMP || t.Proto == packet.ICMPv6 {
		counterpart, paired := icmpCounterpart(t.Proto, uint8(t.SrcPort))
		if !paired {
			return t, false // the other direction is another flow
		}
		t.DstPort = uint16(counterpart)
	}
	order := bytes.Compare(t.Src[:], t.Dst[:])
	if order > 0 || order == 0 && t.SrcPort > t.DstPort {
		t.Src, t.Dst = t.Dst, t.Src
		t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
		return t, true
	}
	return t, false
}

// icmpPairs are the message types that answer each other (RFC 792, 950, 1256).
var icmpPairs = map[uint8]uint8{
	8: 0, 0: 8, // echo
	13: 14, 14: 13, // time stamp
	15: 16, 16: 15, // information
	10: 9, 9: 10, // router solicitation, advertisement
	17: 18, 18: 17, // address mask
}

// icmpv6Pairs likewise (RFC 4443, 4861, 2710, 4620, 6275).
var icmpv6Pairs = map[uint8]uint8{
	128: 129, 129: 128, // echo
	133: 134, 134: 133, // router
	135: 136, 136: 135, // neighbour
	130: 131, 131: 130, // multicast listener
	139: 140, 140: 139, // node information
	144: 145, 145: 144, // home agent
}

func icmpCounterpart(proto, typ uint8) (uint8, bool) {
	pairs := icmpPairs
	if proto == packet.ICMPv6 {
		pairs = icmpv6Pairs
	}
	c, ok := pairs[typ]
	return c, ok
}
