package communityid

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// Append appends the Community ID of a tuple to dst: "1:" and the base64 of a
// SHA-1. Both directions of a flow have the same one. A tuple without addresses or
// protocol has none: nothing is appended.
func Append(dst []byte, t packet.Tuple) []byte {
	n := 0 // bytes of an address
	switch t.Version {
	case 4:
		n = 4
	case 6:
		n = 16
	default:
		return dst
	}
	if t.Proto == 0 {
		return dst
	}

	ports, oneWay := true, false
	switch t.Proto {
	case packet.TCP, packet.UDP, packet.SCTP:
	case packet.ICMP:
		t.DstPort, oneWay = answerOf(icmpPairs[:], t.SrcPort, t.DstPort)
	case packet.ICMPv6:
		t.DstPort, oneWay = answerOf(icmp6Pairs[:], t.SrcPort, t.DstPort)
	default:
		ports = false
	}
	// The smaller end comes first. ICMP messages that get no answer have one
	// direction only and keep it.
	order := bytes.Compare(t.Src[:n], t.Dst[:n])
	if !oneWay && (order > 0 || order == 0 && ports && t.SrcPort > t.DstPort) {
		t.Src, t.Dst = t.Dst, t.Src
		t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	}

	var buf [2 + 16 + 16 + 2 + 4]byte
	b := append(buf[:0], 0, 0) // the seed
	b = append(b, t.Src[:n]...)
	b = append(b, t.Dst[:n]...)
	b = append(b, t.Proto, 0)
	if ports {
		b = binary.BigEndian.AppendUint16(b, t.SrcPort)
		b = binary.BigEndian.AppendUint16(b, t.DstPort)
	}
	sum := sha1.Sum(b)
	return base64.StdEncoding.AppendEncode(append(dst, "1:"...), sum[:])
}

// Of returns the Community ID of a tuple, "" if it has none.
func Of(t packet.Tuple) string { return string(Append(nil, t)) }

// The types of ICMP and ICMPv6 that answer one another, as Zeek pairs them,
// which the specification refers to.
var (
	icmpPairs = [...][2]uint16{
		{8, 0},   // echo, its reply
		{13, 14}, // timestamp
		{15, 16}, // information
		{10, 9},  // router solicitation, advertisement
		{17, 18}, // address mask
	}
	icmp6Pairs = [...][2]uint16{
		{128, 129}, // echo, its reply
		{133, 134}, // router solicitation, advertisement
		{135, 136}, // neighbour solicitation, advertisement
		{130, 131}, // multicast listener query, report
		{139, 140}, // node information
		{144, 145}, // home agent discovery
	}
)

// answerOf returns what stands in for the second port: the type of the answer, or
// the code of a message that has none; oneWay reports the latter.
func answerOf(pairs [][2]uint16, typ, code uint16) (port uint16, oneWay bool) {
	for _, p := range pairs {
		switch typ {
		case p[0]:
			return p[1], false
		case p[1]:
			return p[0], false
		}
	}
	return code, true
}
