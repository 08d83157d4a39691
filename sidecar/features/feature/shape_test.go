package feature

import (
	"strings"
	"testing"

	"serveflow/sidecar/features/packet"
)

// shaped is a flow of TCP: a handshake, a request whose bytes are known, a reply
// whose bytes are not, and one more.
func shaped() []packet.Packet {
	flow := make([]packet.Packet, 6)
	for i, payload := range []int32{0, 0, 0, 16, 1400, 2} {
		flow[i] = packet.Packet{Time: int64(1000 * i), Payload: payload, Proto: packet.TCP, Dir: packet.Dir(i / 4)}
	}
	flow[3].SetPayload([]byte("GET / HTTP/1.1\r\n"))
	flow[5].SetPayload([]byte{0, 255})
	return flow
}

func TestShapes(t *testing.T) {
	columns := strings.Fields(`s1_at s1_dir s1_size s1_gap s1_byte1 s1_byte8 s1_printable s1_leading s1_dns_name
		s2_at s2_dir s2_size s2_byte1 s2_entropy
		s3_at s3_byte1 s3_byte2 s3_byte3 s3_ones s3_entropy s3_zeros
		s4_at s4_size s4_ones`)
	want := []float32{
		4, 0, 16, logSpan(0, 3000), 'G', 'T', 14. / 16, 14, Missing,
		5, 1, 1400, Missing, Missing,
		6, 0, 255, Missing, 4, 1, .5,
		Missing, Missing, Missing,
	}
	got := encode(t, columns, MaskAll, shaped())
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s is %v, want %v", columns[i], got[i], want[i])
		}
	}
}

// A stream of RTP, and replies that begin as it does.
func TestShapesBesideEachOther(t *testing.T) {
	flow := make([]packet.Packet, 4)
	for i, payload := range []string{
		"\x80\x00\xff\xff\x00\x00\x00\x00rest", "\x80\x00\x00\x07\x00\x00\x00\x00rest", "\x80\x00\x00\x01\x00\x00\x00\x00rest", "\x80\x00",
	} {
		flow[i] = packet.Packet{Payload: int32(len(payload)), Proto: packet.UDP, Dir: packet.Dir(i & 1)}
		flow[i].SetPayload([]byte(payload))
	}
	columns := strings.Fields("s1_same s1_echo s1_step s2_same s2_echo s2_step s3_same s3_echo s3_step s3_head s4_same s4_step s4_head")
	want := []float32{Missing, Missing, Missing, Missing, 2, Missing, 2, 3, 2, 0x800000, 2, Missing, Missing}
	got := encode(t, columns, MaskAll, flow)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s is %v, want %v", columns[i], got[i], want[i])
		}
	}
	p, err := Compile([]string{"s2_same"}, 0)
	if err != nil || p.PayloadBytes() != packet.ShapeBytes {
		t.Error("what a payload begins with needs none", err)
	}
}

// A ClientHello that names its server, one that goes on after the bytes that are there,
// and a bind of LDAP.
func TestShapesOfMessages(t *testing.T) {
	hello := "\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x04\x13\x01\x13\x02\x01\x00" +
		"\x00\x14\x00\x00\x00\x07\x00\x05\x00\x00\x02io\x00\x10\x00\x05\x00\x03\x02h2"
	flow := make([]packet.Packet, 3)
	for i, payload := range []string{hello, hello[:52], "\x30\x08\x02\x01\x01\x60\x03\x02\x01\x03"} {
		flow[i] = packet.Packet{Payload: int32(len(payload)), Proto: packet.TCP}
		flow[i].SetPayload([]byte(payload))
	}
	columns := strings.Fields(`s1_tls_version s1_tls_session s1_tls_suites s1_tls_extensions s1_tls_name s1_tls_protocol s1_ber_tag s1_ber_inner
		s2_tls_version s2_tls_suites s2_tls_name s2_tls_protocol
		s3_tls_version s3_tls_name s3_ber_tag s3_ber_inner`)
	want := []float32{
		3, 0, 2, 2, 2, 2, 0, 0,
		3, 2, Missing, Missing,
		Missing, Missing, 0x30, 0x60,
	}
	got := encode(t, columns, MaskAll, flow)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s is %v, want %v", columns[i], got[i], want[i])
		}
	}
}

// Shapes are those of the packets that are given, however many a column names.
func TestShapesOfFirstPackets(t *testing.T) {
	if got := encode(t, []string{"s1_at", "s2_at"}, 0, shaped()[:4]); got[0] != 4 || got[1] != Missing {
		t.Errorf("of four packets: %v", got)
	}
	p, err := Compile([]string{"s3_at", "s3_size"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.Packets() != 1 || p.PayloadBytes() != 0 || p.NeedsHeaders() {
		t.Errorf("%d packets, payload %v, headers %v", p.Packets(), p.PayloadBytes(), p.NeedsHeaders())
	}
	if p, err = Compile([]string{"s1_byte1"}, 0); err != nil || p.PayloadBytes() != packet.ShapeBytes {
		t.Error("a byte of the payload needs none", err)
	}
	if p, err = Compile([]string{"s1_byte1", "s2_tls_name"}, 0); err != nil || p.PayloadBytes() != packet.HelloBytes {
		t.Error("a server's name is looked for in as few bytes", err)
	}
	if _, err = Compile([]string{"s7_at"}, 0); err == nil {
		t.Error("there is a seventh packet with payload")
	}
}
