package packet

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// ShapeBytes is how many of a packet's first payload bytes its Shape is made of,
// HelloBytes how many are looked at where they begin a TLS hello: a ClientHello
// names its server after the cipher suites, seldom within the first 64 bytes.
const (
	ShapeBytes = 64
	HelloBytes = 512
)

// MaxShapes is for how many packets with payload a flow keeps the shape.
const MaxShapes = 6

// Shape is what a flow keeps of one packet's payload: numbers computed from its
// first bytes, with which Wu et al. ("How the Great Firewall of China Detects and
// Blocks Fully Encrypted Traffic", USENIX Security 2023) separate encrypted from
// plain traffic, and the question of a DNS message. Of the bytes themselves only
// the first eight are kept. The zero Shape is that of a packet without payload
// bytes.
type Shape struct {
	First    [8]byte // the first bytes, as many as Bytes says
	Entropy  uint16  // of the bytes, in 1/4096 bit a byte
	Ones     uint16  // set bits
	Question uint16  // type of the DNS question; 0: not seen
	Bytes    uint8   // payload bytes looked at, 0 to ShapeBytes
	// Printable counts the printable ASCII bytes, Run the longest run of them,
	// Leading those that the payload begins with.
	Printable, Run, Leading uint8
	Zeros, Distinct         uint8 // zero bytes; values that occur
	// Rest and Total are the offsets, from 1, of the first 16-bit field (big
	// endian, among the first seven) that holds the number of payload bytes
	// after it, or of the whole payload; 0: none does.
	Rest, Total uint8
	TLS         TLS
	BER         BER
	DNS         DNS
}

// DNS is what the header and the question's name of a DNS message tell (RFC 1035,
// section 4.1), also of mDNS, LLMNR and NetBIOS names. Labels is 0 where
// the payload is no such message. A name that goes on after the bytes looked at
// counts as far as it was captured, but labels with their whole length.
type DNS struct {
	Reply   bool
	Answers uint8 // at most 255
	Name    uint8 // bytes of the name, length bytes included
	Longest uint8 // bytes of the longest label
	Labels  uint8
	// Visible counts the characters seen. Digits, Upper and Odd, neither
	// letter, digit, hyphen nor underscore, are some of these, Distinct is how
	// many different ones.
	Visible, Digits, Upper, Odd, Distinct uint8
}

// SetPayload sets the shape of p's payload. b is the captured first bytes of the
// payload.
func (p *Packet) SetPayload(b []byte) {
	if p.Payload >= 0 {
		b = b[:min(len(b), int(p.Payload))]
	}
	if len(b) > 0 {
		p.Shape.measure(b[:min(len(b), ShapeBytes)], int(p.Payload), p.Proto)
		p.Shape.TLS.parse(b[:min(len(b), HelloBytes)])
	}
}

// measure computes s from the first bytes of a payload of the given length.
func (s *Shape) measure(b []byte, payload int, proto uint8) {
	*s = Shape{Bytes: uint8(len(b))}
	copy(s.First[:], b)
	var counts [256]uint8
	sum := uint64(0)
	for _, c := range b {
		n := counts[c]
		counts[c] = n + 1
		sum += logSteps[n%ShapeBytes]
	}
	s.Zeros, s.Distinct = counts[0], uint8(sum>>32)
	s.Entropy = uint16((logCounts[len(b)] - uint32(sum)) / uint32(len(b)) >> 4)
	s.bits(b)
	s.lengths(b, payload)
	s.BER.parse(b, payload)
	s.question(b, proto)
}

// bits counts set bits and printable bytes, eight bytes at a time.
func (s *Shape) bits(b []byte) {
	var words [ShapeBytes]byte // zeros after b are neither
	copy(words[:], b)
	ones, printable := 0, uint64(0) // a bit for each byte, from the first on
	for at := 0; at < len(b); at += 8 {
		word := binary.LittleEndian.Uint64(words[at&(ShapeBytes-8):])
		ones += bits.OnesCount64(word)
		printable |= printableBytes(word) << (at % ShapeBytes)
	}
	s.Ones = uint16(ones)
	s.Printable, s.Leading = uint8(bits.OnesCount64(printable)), uint8(bits.TrailingZeros64(^printable))
	for ; printable != 0; printable &= printable << 1 { // every run loses a byte
		s.Run++
	}
}

// printableBytes has bit i set if byte i of word, from the lowest on, is printable
// ASCII.
func printableBytes(word uint64) uint64 {
	const each = 0x0101010101010101
	low := word & (0x7f * each)
	yes := (low + 0x60*each) &^ (low + each) &^ word & (0x80 * each) // 0x20 or more, not 0x7f, no high bit
	return yes >> 7 * 0x0102040810204080 >> 56
}

// logCounts has n*log2(n) for counts of bytes, in 1/65536: whole numbers give
// the same entropy on every machine.
var logCounts = func() (t [ShapeBytes + 1]uint32) {
	for n := 1; n < len(t); n++ {
		t[n] = uint32(math.Round(float64(n) * math.Log2(float64(n)) * 65536))
	}
	return t
}()

// logSteps has, for each count of a byte, by how much logCounts grows with the next
// such byte, and in the upper half whether this is the first.
var logSteps = func() (t [ShapeBytes]uint64) {
	for n := range t {
		t[n] = uint64(logCounts[n+1] - logCounts[n])
	}
	t[0] |= 1 << 32
	return t
}()

// lengths finds a field that holds the payload's length.
func (s *Shape) lengths(b []byte, payload int) {
	if payload < 0 {
		return
	}
	for at := 0; at < 7 && at+2 <= len(b); at++ {
		n := int(binary.BigEndian.Uint16(b[at:]))
		if s.Rest == 0 && n > 0 && n == payload-at-2 {
			s.Rest = uint8(at + 1)
		}
		if s.Total == 0 && n == payload {
			s.Total = uint8(at + 1)
		}
	}
}

// question reads b as a DNS message, over TCP with its length before it, and
// leaves s as it is if it is none.
func (s *Shape) question(b []byte, proto uint8) {
	const header = 12
	if proto == TCP && len(b) >= 2 {
		b = b[2:]
	}
	if len(b) <= header || proto != TCP && proto != UDP {
		return
	}
	flags := binary.BigEndian.Uint16(b[2:])
	questions, answers := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	authorities, additional := binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])
	opcode, reserved := flags>>11&15, flags&0x40
	if opcode > 6 || reserved != 0 || questions == 0 || questions > 32 || answers > 256 || authorities > 64 || additional > 64 {
		return
	}
	m := DNS{Reply: flags&0x8000 != 0, Answers: uint8(min(answers, 255))}
	var seen [4]uint64 // characters, a bit each
	question := uint16(0)
	at, name := header, 0
	for at < len(b) {
		n := int(b[at])
		if n > 63 { // no label: a question's name has no pointers
			return
		}
		at++
		name++
		if n == 0 {
			if at+2 <= len(b) {
				question = binary.BigEndian.Uint16(b[at:])
			}
			break
		}
		name += n
		if name > 255 {
			return
		}
		m.Labels++
		m.Longest = max(m.Longest, uint8(n))
		for _, c := range b[at:min(at+n, len(b))] {
			m.count(c, &seen)
		}
		at += n
	}
	m.Name = uint8(min(name, 255))
	m.Labels = max(m.Labels, 1) // the root alone
	for _, word := range seen {
		m.Distinct += uint8(bits.OnesCount64(word))
	}
	s.DNS, s.Question = m, question
}

func (d *DNS) count(c byte, seen *[4]uint64) {
	d.Visible++
	seen[c>>6] |= 1 << (c & 63)
	switch {
	case c >= '0' && c <= '9':
		d.Digits++
	case c >= 'A' && c <= 'Z':
		d.Upper++
	case c >= 'a' && c <= 'z', c == '-', c == '_':
	default:
		d.Odd++
	}
}
