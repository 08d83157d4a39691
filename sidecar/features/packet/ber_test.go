package packet

import "testing"

func TestShapeOfBER(t *testing.T) {
	for _, c := range []struct {
		what    string
		payload string
		more    int // bytes of the payload beyond those seen
		proto   uint8
		want    BER
	}{
		{"LDAP bind", "\x30\x08\x02\x01\x01\x60\x03\x02\x01\x03", 0, TCP, BER{0x30, 0x60}},
		{"LDAP, a length of four bytes", "\x30\x84\x00\x00\x00\x08\x02\x01\x01\x63\x03\x02\x01\x03", 0, TCP, BER{0x30, 0x63}},
		{"SNMP", "\x30\x0b\x02\x01\x01\x04\x06public", 0, UDP, BER{0x30, 0x04}},
		{"Kerberos", "\x6a\x81\x90\x30\x81\x8d\xa1\x03\x02\x01\x05", 136, UDP, BER{0x6a, 0x30}},
		{"Kerberos over TCP", "\x00\x00\x00\x93\x6a\x81\x90\x30\x81\x8d\xa1\x03\x02\x01\x05", 136, TCP, BER{0x6a, 0x30}},
		{"goes on in later packets", "\x30\x82\x10\x00\x02\x01\x05\x64\x82\x0f\xf0", 1400, TCP, BER{0x30, 0x64}},
		{"ends before the payload", "\x30\x04\x02\x01\x01\x60\x00\x00", 0, TCP, BER{}},
		{"not constructed", "\x10\x08\x02\x01\x01\x60\x03\x02\x01\x03", 0, TCP, BER{}},
		{"an element beyond its message", "\x30\x05\x60\x7f\x01\x01\x01", 0, TCP, BER{}},
		{"an indefinite length", "\x30\x80\x02\x01\x01\x60\x00\x00\x00\x00", 0, TCP, BER{}},
		{"cut in the length", "\x30\x84\x00", 40, TCP, BER{}},
		{"cut in the integer", "\x30\x20\x02\x04\x01", 29, TCP, BER{}},
		{"text", "GET / HTTP/1.1", 0, TCP, BER{}},
	} {
		b := []byte(c.payload)
		if s := shapeOf(b, len(b)+c.more, c.proto); s.BER != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, s.BER, c.want)
		}
	}
}
