package packet

import "encoding/binary"

// TLS is what the first bytes of a ClientHello or ServerHello say (RFC 8446,
// section 4.1; of TLS 1.0 and later). Hello is 0 where the payload is neither.
type TLS struct {
	Hello   uint8 // 1 of the client, 2 of the server
	Version uint8 // lower byte of the version it names: 1 of TLS 1.0, 3 of 1.2 and 1.3
	Session uint8 // bytes of the session's id, 0 to 32
	Suites  uint8 // cipher suites that a client offers, at most 255
	// Extensions counts the extensions seen.
	Extensions uint8
	// Name is the length of the server's name (RFC 6066, section 3) and
	// Protocol that of the first application protocol (RFC 7301), each plus 1;
	// 1: there is no such extension; 0: not known, as the hello goes on.
	Name, Protocol uint8
}

// parse reads b as a TLS record that begins with a hello, as far as it goes, and
// leaves t as it is if it is none.
func (t *TLS) parse(b []byte) {
	const handshake, hello, version, session = 22, 5, 9, 43
	if len(b) <= session || b[0] != handshake || b[1] != 3 || b[hello] != 1 && b[hello] != 2 || b[version] != 3 || b[session] > 32 {
		return
	}
	*t = TLS{Hello: b[hello], Version: b[version+1], Session: b[session]}
	end := 9 + (int(b[6])<<16 | int(b[7])<<8 | int(b[8])) // of the hello
	whole := end <= len(b)
	b = b[:min(len(b), end)]
	at := session + 1 + int(t.Session)
	if t.Hello == 1 {
		if at+2 > len(b) {
			return
		}
		suites := int(binary.BigEndian.Uint16(b[at:]))
		t.Suites = uint8(min(suites/2, 255))
		at += 2 + suites
		if at >= len(b) {
			return
		}
		at += 1 + int(b[at]) // compression methods
	} else {
		at += 2 + 1
	}
	whole = t.extensions(b, at+2) && whole
	if whole {
		t.Name, t.Protocol = max(t.Name, 1), max(t.Protocol, 1)
	}
}

// extensions reads the extensions from an offset on and returns whether it came
// to their end.
func (t *TLS) extensions(b []byte, at int) bool {
	const serverName, applicationProtocol = 0, 16
	for at+4 <= len(b) {
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		t.Extensions += uint8(min(1, 255-int(t.Extensions)))
		body := b[min(at, len(b)):min(at+size, len(b))]
		switch kind {
		case serverName: // list's length (2), type (1), name's length (2)
			t.Name = 1
			if len(body) >= 5 {
				t.Name = uint8(min(int(binary.BigEndian.Uint16(body[3:]))+1, 255))
			}
		case applicationProtocol: // list's length (2), name's length (1)
			t.Protocol = 1
			if len(body) >= 3 {
				t.Protocol = uint8(min(int(body[2])+1, 255))
			}
		}
		at += size
	}
	return at >= len(b)
}
