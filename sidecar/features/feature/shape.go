package feature

import "serveflow/sidecar/features/packet"

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
	shapeOnes = shapeFirst + 8 + iota
	shapePrintable
	shapeRun
	shapeLeading
	shapeZeros
	shapeDistinct
	shapeEntropy
	shapeRest
	shapeTotal
	shapeVersion
	shapeSession
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
	"at", "dir", "size", "gap", "byte1", "byte2", "byte3", "byte4", "byte5", "byte6", "byte7", "byte8",
	"ones", "printable", "run", "leading", "zeros", "distinct", "entropy", "rest", "total",
	"tls_version", "tls_session",
	"dns_reply", "dns_answers", "dns_name", "dns_longest", "dns_labels", "dns_digits", "dns_upper", "dns_odd", "dns_distinct", "dns_type",
}

// encodeShapes writes the values of the first packets with payload.
func encodeShapes(dst []float32, shapes [][]cell, flow []packet.Packet) {
	j, last := 0, 0
	for k := range flow {
		if flow[k].Payload <= 0 {
			continue
		}
		if j == len(shapes) {
			return
		}
		if cells := shapes[j]; len(cells) > 0 {
			encodeShape(dst, cells, flow, k, last)
		}
		j, last = j+1, k
	}
}

// encodeShape writes the values of packet k, counted from 0; last is the packet
// with payload before it.
func encodeShape(dst []float32, cells []cell, flow []packet.Packet, k, last int) {
	pk := &flow[k]
	s, d := &pk.Shape, &pk.Shape.DNS
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
			*v = logSpan(flow[last].Time, pk.Time)
		default:
			if s.Bytes > 0 {
				encodeContent(v, c.index, s, d)
			}
		}
	}
}

// encodeContent writes a value that is made of a payload's bytes.
func encodeContent(v *float32, index int, s *packet.Shape, d *packet.DNS) {
	switch index {
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
	case shapeVersion:
		if s.TLS.Hello != 0 {
			*v = float32(s.TLS.Version)
		}
	case shapeSession:
		if s.TLS.Hello != 0 {
			*v = float32(s.TLS.Session)
		}
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
