package packet

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/bits"
	"strings"
	"testing"
)

// shapeOf is the shape of a payload that was captured as far as b goes.
func shapeOf(b []byte, payload int, proto uint8) Shape {
	p := Packet{Payload: int32(payload), Proto: proto}
	p.SetPayload(b)
	return p.Shape
}

func TestShapeOfBytes(t *testing.T) {
	get := []byte("GET / HTTP/1.1\r\n")
	s := shapeOf(get, len(get), TCP)
	if s.Bytes != 16 || string(s.First[:]) != "GET / HT" || s.Printable != 14 || s.Run != 14 || s.Leading != 14 || s.Zeros != 0 {
		t.Errorf("GET: %+v", s)
	}
	all := make([]byte, 200)
	for i := range all {
		all[i] = byte(i)
	}
	s = shapeOf(all, 200, UDP)
	if s.Bytes != ShapeBytes || s.Distinct != 64 || s.Entropy != 6*4096 || s.Ones != 192 || s.Zeros != 1 || s.Leading != 0 || s.Run != 32 {
		t.Errorf("64 different bytes: %+v", s)
	}
	if s = shapeOf(make([]byte, 9), 9, UDP); s.Entropy != 0 || s.Zeros != 9 || s.Distinct != 1 {
		t.Errorf("zeros: %+v", s)
	}
	if s = shapeOf([]byte("padding"), 0, TCP); s != (Shape{}) {
		t.Errorf("a frame that is padded: %+v", s)
	}
	if s = shapeOf([]byte("abcdef"), 3, TCP); s.Bytes != 3 || s.First[3] != 0 {
		t.Errorf("a short payload in a longer frame: %+v", s)
	}
	if s = shapeOf([]byte("abc"), Missing, TCP); s.Bytes != 3 || s.Rest != 0 || s.Total != 0 {
		t.Errorf("a payload of unknown length: %+v", s)
	}
}

// The entropy in whole numbers is that of the definition.
func TestShapeEntropy(t *testing.T) {
	for _, text := range []string{"a", "ab", "aab", "mississippi", strings.Repeat("abc", 30)} {
		b := []byte(text)[:min(len(text), ShapeBytes)]
		want, n := 0.0, float64(len(b))
		for c := range 256 {
			if k := float64(strings.Count(string(b), string(rune(c)))); c < 128 && k > 0 {
				want -= k / n * math.Log2(k/n)
			}
		}
		if got := float64(shapeOf(b, len(b), TCP).Entropy) / 4096; math.Abs(got-want) > 1e-3 {
			t.Errorf("%q: entropy %v, want %v", text, got, want)
		}
	}
}

func TestShapeLengths(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		payload     int
		rest, total uint8
	}{
		{"TLS record", "160301 00fa 01", 255, 4, 0},
		{"OpenVPN over TCP", "002a 38", 44, 1, 0},
		{"TPKT", "0300 0013 0e", 19, 0, 3},
		{"none", "474554202f", 100, 0, 0},
		{"zero says nothing", "0000", 2, 0, 0},
		{"cut in the field", "16030100", 300, 0, 0},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.bytes, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if s := shapeOf(b, c.payload, TCP); s.Rest != c.rest || s.Total != c.total {
			t.Errorf("%s: rest %d, total %d, want %d, %d", c.name, s.Rest, s.Total, c.rest, c.total)
		}
	}
}

// message is a DNS message with one question.
func message(flags string, answers byte, name string, kind string) []byte {
	b := []byte("\x12\x34" + flags + "\x00\x01\x00" + string(answers) + "\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, "\x00"+kind+"\x00\x01"...)
}

func TestShapeOfDNS(t *testing.T) {
	const query, reply = "\x01\x00", "\x81\x80"
	plain := message(query, 0, "www.Example.com", "\x00\x01")
	want := DNS{Name: 17, Longest: 7, Labels: 3, Visible: 13, Upper: 1, Distinct: 10}
	if s := shapeOf(plain, len(plain), UDP); s.DNS != want || s.Question != 1 {
		t.Errorf("query: %+v type %d", s.DNS, s.Question)
	}
	long := strings.Repeat("x7Z", 21) // 63 bytes, as tunnels have them
	tunnel := message(query, 0, long+"."+long+".t.io", "\x00\x0a")
	s := shapeOf(tunnel, len(tunnel), UDP)
	if d := s.DNS; d.Longest != 63 || d.Labels != 1 || d.Name != 64 || d.Visible != 51 || d.Digits != 17 || d.Upper != 17 || s.Question != 0 {
		t.Errorf("a long name: %+v type %d", d, s.Question)
	}
	answer := message(reply, 3, "a.io", "\x00\x1c")
	if s = shapeOf(answer, len(answer), UDP); !s.DNS.Reply || s.DNS.Answers != 3 || s.Question != 28 {
		t.Errorf("reply: %+v type %d", s.DNS, s.Question)
	}
	stream := append([]byte{0, byte(len(plain))}, plain...)
	if s = shapeOf(stream, len(stream), TCP); s.DNS != want || s.Rest != 1 {
		t.Errorf("over TCP: %+v", s)
	}
	root := message(query, 0, "", "\x00\x02")
	if s = shapeOf(root[:14], 14, UDP); s.DNS.Labels != 1 || s.DNS.Longest != 0 {
		t.Errorf("the root: %+v", s.DNS)
	}
	for name, b := range map[string][]byte{
		"a pointer in the question": append([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"), 0xc0, 12),
		"no question":               append([]byte("\x12\x34\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00"), 1, 'a', 0),
		"an unknown opcode":         message("\x7f\x00", 0, "a.io", "\x00\x01"),
		"a header alone":            plain[:12],
		"text":                      []byte("GET /index.html HTTP/1.1\r\n"),
	} {
		if s = shapeOf(b, len(b), UDP); s.DNS != (DNS{}) || s.Question != 0 {
			t.Errorf("%s: %+v", name, s.DNS)
		}
	}
	if s = shapeOf(plain, len(plain), ICMP); s.DNS != (DNS{}) {
		t.Error("ICMP is read as DNS")
	}
}

// byByte is what bytes tell, counted one after the other.
func byByte(b []byte) (s Shape) {
	counts := map[byte]int{}
	run := uint8(0)
	for i, c := range b {
		counts[c]++
		s.Ones += uint16(bits.OnesCount8(c))
		if run++; c < ' ' || c > '~' {
			run = 0
			continue
		}
		s.Printable++
		if s.Run = max(s.Run, run); int(run) == i+1 {
			s.Leading = run
		}
	}
	sum := logCounts[len(b)]
	for _, n := range counts {
		sum -= logCounts[n]
	}
	s.Entropy, s.Distinct, s.Zeros = uint16(sum/uint32(len(b))>>4), uint8(len(counts)), uint8(counts[0])
	return s
}

func FuzzShape(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n"), 16, TCP)
	f.Add(message("\x01\x00", 0, "www.example.com", "\x00\x01"), 33, UDP)
	f.Add(clientHello(16, "www.example.com", "h2"), 517, TCP)
	f.Add([]byte("\x30\x84\x00\x00\x00\x08\x02\x01\x01\x60\x03\x02\x01\x03"), 14, TCP)
	edges := []byte("\x1f\x20\x7e\x7f\x80\xa0\xfe\xff\x00")
	for n := range ShapeBytes + 1 {
		f.Add(bytes.Repeat(edges, 8)[:n], n, UDP)
		f.Add(bytes.Repeat([]byte("ab~ "), 16)[:n], n, UDP)
	}
	f.Fuzz(func(t *testing.T, b []byte, payload int, proto uint8) {
		s := shapeOf(b, payload%70000, proto)
		d, n := &s.DNS, s.Bytes
		if int(n) > len(b) || n > ShapeBytes || s.Printable > n || s.Run > s.Printable || s.Leading > s.Run || s.Zeros > n || s.Distinct > n ||
			s.Ones > 8*uint16(n) || s.Entropy > 6*4096 || s.Rest > 7 || s.Total > 7 ||
			s.TLS.Hello == 0 && s.TLS != (TLS{}) || s.BER.Tag == 0 && s.BER != (BER{}) ||
			d.Longest > 63 || d.Visible > ShapeBytes || d.Digits+d.Upper+d.Odd > d.Visible || d.Distinct > d.Visible {
			t.Errorf("%+v", s)
		}
		if s.Bytes == 0 {
			return
		}
		want := byByte(b[:s.Bytes])
		got := Shape{Entropy: s.Entropy, Ones: s.Ones, Printable: s.Printable, Run: s.Run, Leading: s.Leading, Zeros: s.Zeros, Distinct: s.Distinct}
		if got != want {
			t.Errorf("%x: %+v, byte by byte %+v", b[:s.Bytes], got, want)
		}
	})
}

func BenchmarkShape(b *testing.B) {
	payload := []byte(strings.Repeat("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rnd", 8))
	p := Packet{Payload: int32(len(payload)), Proto: TCP}
	b.ReportAllocs()
	for b.Loop() {
		p.SetPayload(payload)
	}
}
