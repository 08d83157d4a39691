package packet

// BER is the frame of a message in ASN.1's basic encoding (ITU-T X.690), which
// LDAP, SNMP and Kerberos use. Tag is 0 where the payload is none.
type BER struct {
	Tag uint8 // of the message
	// Inner is the tag of its first element, or of the one after it where that is
	// an integer: LDAP's operation (RFC 4511), SNMP's community (RFC 3416).
	Inner uint8
}

// parse reads the first bytes of a payload of so many bytes as a constructed
// element that fills it or goes on after it, over TCP perhaps with its length in
// four bytes before it (RFC 4120, section 7.2.2), and leaves m as it is if it is none.
func (m *BER) parse(b []byte, payload int) {
	const constructed, integer, prefix = 0x20, 2, 4
	tag, at, size := element(b, 0)
	if len(b) > prefix && b[0] == 0 && payload == prefix+(int(b[1])<<16|int(b[2])<<8|int(b[3])) {
		tag, at, size = element(b, prefix)
	}
	if tag&constructed == 0 || at == 0 || size == 0 || at+size < payload {
		return
	}
	inner, value, n := element(b, at)
	if inner == 0 || n > size {
		return
	}
	if inner == integer {
		if n == 0 || n > 4 || value+n >= len(b) {
			return
		}
		inner = b[value+n]
	}
	m.Tag, m.Inner = tag, inner
}

// element reads the tag and length at an offset and returns where the value
// begins and how long it is; 0 for a tag where there is no such element.
func element(b []byte, at int) (tag uint8, value, size int) {
	const long = 0x80
	if at+2 > len(b) || b[at]&0x1f == 0x1f { // tags of more bytes are not used by these
		return 0, 0, 0
	}
	tag, size, value = b[at], int(b[at+1]), at+2
	if size < long {
		return tag, value, size
	}
	n := size - long
	if n == 0 || n > 4 || value+n > len(b) {
		return 0, 0, 0
	}
	size = 0
	for _, c := range b[value : value+n] {
		size = size<<8 | int(c)
	}
	return tag, value + n, size
}
