package feature

import (
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// Columns of the shape section are s2_<name>: of the second packet with payload
// among those that Encode is given.
const (
	shapeAt = iota
	shapeDir
	shapeSize
	shapeGap
	shapeFirst // eight of them
)

const (
	shapeHead = shapeFirst + 8 + iota
	shapeOnes
	shapePrintable
	shapeRun
	shapeLeading
	shapeZeros
	shapeDistinct
	shapeEntropy
	shapeRest
	shapeTotal
	shapeSame
	shapeEcho
	shapeStep
	shapeVersion
	shapeSession
	shapeSuites
	shapeExtensions
	shapeServerName
	shapeProtocol
	shapeTag
	shapeInner
	shapeReply
	shapeAnswers
	shapeName
	shapeLongest
	shapeLabels
	shapeDigits
	shapeUpper
	shapeOdd
	shapeLetters
	shapeQuestion
)

var shapeNames = []string{
	"at", "dir", "size", "gap", "byte1", "byte2", "byte3", "byte4", "byte5", "byte6", "byte7", "byte8", "head",
	"ones", "printable", "run", "leading", "zeros", "distinct", "entropy", "rest", "total", "same", "echo", "step",
	"tls_version", "tls_session", "tls_suites", "tls_extensions", "tls_name", "tls_protocol", "ber_tag", "ber_inner",
	"dns_reply", "dns_answers", "dns_name", "dns_longest", "dns_labels", "dns_digits", "dns_upper", "dns_odd", "dns_distinct", "dns_type",
}

// encodeShapes writes the values of the first packets with payload.
func encodeShapes(dst []float32, shapes [][]cell, flow []packet.Packet) {
	j := 0
	before := neighbours{last: -1, of: [2]int{-1, -1}}
	for k := range flow {
		if flow[k].Payload <= 0 {
			continue
		}
		if j == len(shapes) {
			return
		}
		if cells := shapes[j]; len(cells) > 0 {
			encodeShape(dst, cells, flow, k, &before)
		}
		j++
		before.last = k
		if dir := flow[k].Dir; dir <= packet.Responder {
			before.of[dir] = k
		}
	}
}

// neighbours are the packets with payload before one: the last, and the last of
// each direction; -1: none.
type neighbours struct {
	last int
	of   [2]int
}

// encodeShape writes the values of packet k, counted from 0.
func encodeShape(dst []float32, cells []cell, flow []packet.Packet, k int, before *neighbours) {
	pk := &flow[k]
	s := &pk.Shape
	same, echo := -1, -1
	if pk.Dir <= packet.Responder {
		same, echo = before.of[pk.Dir], before.of[1-pk.Dir]
	}
	for _, c := range cells {
		v := &dst[c.at]
		switch c.index {
		case shapeAt:
			*v = float32(k + 1)
		case shapeDir:
			if pk.Dir <= packet.Responder {
				*v = float32(pk.Dir)
			}
		case shapeSize:
			*v = float32(min(pk.Payload, maxSize))
		case shapeGap:
			*v = logSpan(flow[max(before.last, 0)].Time, pk.Time)
		case shapeSame:
			if same >= 0 {
				encodeCommon(v, s, &flow[same].Shape)
			}
		case shapeEcho:
			if echo >= 0 {
				encodeCommon(v, s, &flow[echo].Shape)
			}
		case shapeStep:
			if same >= 0 {
				encodeStep(v, s, &flow[same].Shape)
			}
		default:
			if s.Bytes > 0 {
				encodeContent(v, c.index, s, &s.DNS)
			}
		}
	}
}

// encodeCommon writes with how many equal bytes two payloads begin, of the
// bytes that are kept: session ids and types of message stay the same.
func encodeCommon(v *float32, a, b *packet.Shape) {
	n := min(int(a.Bytes), int(b.Bytes), len(a.First))
	if n == 0 {
		return
	}
	i := 0
	for i < n && a.First[i] == b.First[i] {
		i++
	}
	*v = float32(i)
}

// encodeStep writes by how much the 16-bit field at the third byte grew, modulo
// 2^16: the sequence number of RTP (RFC 3550, section 5.1).
func encodeStep(v *float32, now, before *packet.Shape) {
	const at = 2
	if now.Bytes < at+2 || before.Bytes < at+2 {
		return
	}
	*v = float32(binary.BigEndian.Uint16(now.First[at:]) - binary.BigEndian.Uint16(before.First[at:]))
}

// encodeContent writes a value that is made of a payload's bytes.
func encodeContent(v *float32, index int, s *packet.Shape, d *packet.DNS) {
	switch index {
	case shapeHead:
		if s.Bytes >= 3 {
			*v = float32(uint32(s.First[0])<<16 | uint32(s.First[1])<<8 | uint32(s.First[2]))
		}
	case shapeOnes:
		*v = share(s.Ones, s.Bytes)
	case shapePrintable:
		*v = share(s.Printable, s.Bytes)
	case shapeRun:
		*v = float32(s.Run)
	case shapeLeading:
		*v = float32(s.Leading)
	case shapeZeros:
		*v = share(s.Zeros, s.Bytes)
	case shapeDistinct:
		*v = share(s.Distinct, s.Bytes)
	case shapeEntropy:
		*v = float32(s.Entropy) / 4096
	case shapeRest:
		*v = float32(s.Rest)
	case shapeTotal:
		*v = float32(s.Total)
	case shapeVersion, shapeSession, shapeSuites, shapeExtensions, shapeServerName, shapeProtocol:
		if s.TLS.Hello != 0 {
			encodeHello(v, index, &s.TLS)
		}
	case shapeTag:
		*v = float32(s.BER.Tag)
	case shapeInner:
		*v = float32(s.BER.Inner)
	case shapeQuestion:
		if s.Question != 0 {
			*v = float32(s.Question)
		}
	default:
		if i := index - shapeFirst; i < len(s.First) {
			if i < int(s.Bytes) {
				*v = float32(s.First[i])
			}
		} else if d.Labels > 0 {
			encodeDNS(v, index, d)
		}
	}
}

// encodeHello writes a value of a TLS hello.
func encodeHello(v *float32, index int, t *packet.TLS) {
	switch index {
	case shapeVersion:
		*v = float32(t.Version)
	case shapeSession:
		*v = float32(t.Session)
	case shapeSuites:
		*v = float32(t.Suites)
	case shapeExtensions:
		*v = float32(t.Extensions)
	case shapeServerName: // stays missing where the hello goes on
		if t.Name > 0 {
			*v = float32(t.Name - 1)
		}
	case shapeProtocol:
		if t.Protocol > 0 {
			*v = float32(t.Protocol - 1)
		}
	}
}

// encodeDNS writes a value of a DNS message.
func encodeDNS(v *float32, index int, d *packet.DNS) {
	switch index {
	case shapeReply:
		*v = 0
		if d.Reply {
			*v = 1
		}
	case shapeAnswers:
		*v = float32(d.Answers)
	case shapeName:
		*v = float32(d.Name)
	case shapeLongest:
		*v = float32(d.Longest)
	case shapeLabels:
		*v = float32(d.Labels)
	case shapeDigits:
		*v = share(d.Digits, d.Visible)
	case shapeUpper:
		*v = share(d.Upper, d.Visible)
	case shapeOdd:
		*v = share(d.Odd, d.Visible)
	case shapeLetters:
		*v = share(d.Distinct, d.Visible)
	}
}

// share is a count as a part of a whole, 0 of nothing.
func share[T uint8 | uint16](count T, of uint8) float32 {
	if of == 0 {
		return 0
	}
	return float32(count) / float32(of)
}
