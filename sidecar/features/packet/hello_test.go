package packet

import (
	"encoding/binary"
	"testing"
)

// clientHello is a record with a ClientHello of TLS 1.2: so many cipher suites, a
// server name and an application protocol; neither where it is "-".
func clientHello(suites int, name, protocol string) []byte {
	b := []byte("\x16\x03\x01\x00\x00\x01\x00\x00\x00\x03\x03")
	b = append(b, make([]byte, 32)...) // random
	b = append(b, 0)                   // no session
	b = binary.BigEndian.AppendUint16(b, uint16(2*suites))
	b = append(b, make([]byte, 2*suites)...)
	b = append(b, 1, 0) // no compression
	at := len(b)
	b = append(b, 0, 0)
	b = append(b, 0x00, 0x17, 0, 0) // extended master secret
	if name != "-" {
		b = append(b, 0, 0, 0, byte(len(name)+5), 0, byte(len(name)+3), 0, 0, byte(len(name)))
		b = append(b, name...)
	}
	if protocol != "-" {
		b = append(b, 0, 16, 0, byte(len(protocol)+3), 0, byte(len(protocol)+1), byte(len(protocol)))
		b = append(b, protocol...)
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	binary.BigEndian.PutUint16(b[3:], uint16(len(b)-5))
	binary.BigEndian.PutUint16(b[7:], uint16(len(b)-9))
	return b
}

func TestShapeOfHello(t *testing.T) {
	server := clientHello(0, "-", "h2")
	server = append(append(append([]byte(nil), server[:44]...), 0x13, 0x01, 0), server[48:]...)
	server[5] = 2
	binary.BigEndian.PutUint16(server[7:], uint16(len(server)-9))
	long := append(clientHello(2, "-", "-"), make([]byte, 100)...) // a second record
	for _, c := range []struct {
		what    string
		payload []byte
		want    TLS
	}{
		{"name and protocol", clientHello(16, "www.example.com", "h2"), TLS{1, 3, 0, 16, 3, 16, 3}},
		{"no name", clientHello(3, "-", "http/1.1"), TLS{1, 3, 0, 3, 2, 1, 9}},
		{"neither", clientHello(2, "-", "-"), TLS{1, 3, 0, 2, 1, 1, 1}},
		{"a record after it", long, TLS{1, 3, 0, 2, 1, 1, 1}},
		{"an empty name", clientHello(2, "", "-"), TLS{1, 3, 0, 2, 2, 1, 1}},
		{"many suites", clientHello(400, "a", "-"), TLS{1, 3, 0, 255, 0, 0, 0}},
		{"cut before the suites", clientHello(2, "a", "-")[:45], TLS{Hello: 1, Version: 3}},
		{"cut in the suites", clientHello(9, "a", "-")[:50], TLS{Hello: 1, Version: 3, Suites: 9}},
		{"cut before the name", clientHello(2, "a", "-")[:58], TLS{1, 3, 0, 2, 1, 0, 0}},
		{"cut in the name", clientHello(2, "abc", "-")[:67], TLS{1, 3, 0, 2, 2, 4, 0}},
		{"server", server, TLS{2, 3, 0, 0, 2, 1, 3}},
	} {
		if s := shapeOf(c.payload, len(c.payload), TCP); s.TLS != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, s.TLS, c.want)
		}
	}
	for at, b := range map[int]byte{0: 23, 1: 2, 5: 11, 9: 2, 43: 33} {
		other := clientHello(2, "a", "-")
		other[at] = b
		if s := shapeOf(other, len(other), TCP); s.TLS != (TLS{}) {
			t.Errorf("byte %d is %d: %+v", at, b, s.TLS)
		}
	}
	if s := shapeOf(clientHello(2, "a", "-")[:43], 517, TCP); s.TLS != (TLS{}) {
		t.Errorf("cut in the random: %+v", s.TLS)
	}
}
