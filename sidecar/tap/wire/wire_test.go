package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func id(t testing.TB, s string) FlowID {
	t.Helper()
	f, err := StringID(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// encode writes m by its kind.
func encode(e *Encoder, m *Message) error {
	switch m.Kind {
	case KindHello:
		return e.Hello(&m.Hello)
	case KindPacket:
		return e.Packet(m)
	case KindMeta:
		return e.Meta(m)
	case KindEnd:
		return e.End(m.Flow, m.Time)
	case KindSync:
		return e.Sync(m.Token, m.Final)
	case KindStats:
		return e.Stats(m.Time, m.Sent, m.Dropped)
	case KindLabel:
		return e.Label(&m.Label)
	case KindWelcome:
		return e.Welcome(&m.Welcome)
	case KindSynced:
		return e.Synced(m.Token)
	case KindError:
		return e.Error(m.Code, m.Text)
	}
	panic("no such kind: " + m.Kind.String())
}

func encoded(t testing.TB, m *Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(NewEncoder(&b), m); err != nil {
		t.Fatalf("%v: %v", m.Kind, err)
	}
	return b.Bytes()
}

// same compares two messages, their own memory aside.
func same(a, b *Message) bool {
	x, y := *a, *b
	x.buf, y.buf = nil, nil
	return reflect.DeepEqual(x, y)
}

// samples has one of each type and the edges of their fields.
func samples(t testing.TB) []*Message {
	uid, long := id(t, "CHhAvVGS1DHFjwGM9"), id(t, strings.Repeat("z", MaxFlowID))
	return []*Message{
		{Kind: KindHello, Hello: Hello{Version: 1, Engine: "zeek", EngineVersion: "8.0.10", Sensor: "dmz-1", PID: 4711, Reply: true}},
		{Kind: KindHello, Hello: Hello{Version: 1, Engine: "suricata", Sensor: "Büro", Capture: true, Meta: true}},
		{Kind: KindPacket, Flow: uid, Time: 1_700_000_000_000_000, OrigPkts: 1, WireLen: 60, Link: 101, Raw: []byte{0x45, 0, 0, 60}},
		{Kind: KindPacket, Flow: UintID(math.MaxUint64), Time: math.MaxInt64, Dir: 2, OrigPkts: math.MaxInt64, RespPkts: math.MaxInt64,
			WireLen: math.MaxUint32, Link: 1, Raw: bytes.Repeat([]byte{0xab}, MaxRaw)},
		{Kind: KindPacket, RespPkts: 1, Dir: 1, Raw: []byte{}},
		{Kind: KindMeta, Flow: UintID(1234567890123), Time: 1, Dir: 1, OrigPkts: 3, RespPkts: 2, OrigBytes: 300, RespBytes: 70_000, Proto: 6,
			Src: netip.MustParseAddr("192.0.2.1"), SrcPort: 443, Dst: netip.MustParseAddr("2001:db8::1"), DstPort: 50_000, PayloadLen: 1400, Payload: []byte("GET")},
		{Kind: KindMeta, OrigPkts: 1, OrigBytes: NoCount, RespBytes: NoCount, PayloadLen: NoLength},
		{Kind: KindMeta, OrigPkts: 1, Payload: []byte{}},
		{Kind: KindEnd, Flow: long, Time: 5},
		{Kind: KindSync, Token: math.MaxUint64, Final: true},
		{Kind: KindSync},
		{Kind: KindStats, Time: 7, Sent: 1 << 40, Dropped: 3},
		{Kind: KindLabel, Flow: uid, Label: Label{Flow: uid, Label: "camera", Score: 0.97, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted"}},
		{Kind: KindLabel, Label: Label{Label: "unknown", LatencyUS: -5, Reason: "partial"}},
		{Kind: KindWelcome, Welcome: Welcome{Version: 1, Packets: 10, RawBytes: 120, PayloadBytes: 0}},
		{Kind: KindWelcome, Welcome: Welcome{Version: 1, Packets: 12, RawBytes: 192, AfterLabel: true}},
		{Kind: KindWelcome, Welcome: Welcome{Version: 1, Packets: MaxPackets, RawBytes: MaxRaw, PayloadBytes: MaxPayload}},
		{Kind: KindSynced, Token: 9},
		{Kind: KindError, Code: CodeVersion, Text: "this end speaks version 1"},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, want := range samples(t) {
		b := encoded(t, want)
		d := NewDecoder(bytes.NewReader(b))
		var got Message
		if err := d.Next(&got); err != nil {
			t.Fatalf("%v: %v", want.Kind, err)
		}
		if !same(&got, want) {
			t.Errorf("%v:\ngot  %+v\nwant %+v", want.Kind, got, *want)
		}
		if err := d.Next(&got); err != io.EOF {
			t.Errorf("%v: then %v, want EOF", want.Kind, err)
		}
	}
}

// One stream of all messages, arriving byte by byte, into one Message.
func TestStream(t *testing.T) {
	var stream bytes.Buffer
	e := NewEncoder(&stream)
	for _, m := range samples(t) {
		if err := encode(e, m); err != nil {
			t.Fatal(err)
		}
	}
	total := stream.Len()
	for name, r := range map[string]io.Reader{
		"whole":          bytes.NewReader(stream.Bytes()),
		"bytes":          iotest.OneByteReader(bytes.NewReader(stream.Bytes())),
		"data and error": iotest.DataErrReader(bytes.NewReader(stream.Bytes())),
	} {
		d := NewDecoder(r)
		var m Message
		for _, want := range samples(t) {
			if err := d.Next(&m); err != nil {
				t.Fatalf("%s: %v: %v", name, want.Kind, err)
			}
			if !same(&m, want) {
				t.Errorf("%s: got %+v, want %+v", name, m, *want)
			}
		}
		if err := d.Next(&m); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
		if d.Offset() != int64(total) || d.Buffered() != 0 {
			t.Errorf("%s: offset %d of %d, %d left", name, d.Offset(), total, d.Buffered())
		}
	}
}

func TestBuffered(t *testing.T) {
	a, b := encoded(t, samples(t)[0]), encoded(t, samples(t)[2])
	d := NewDecoder(bytes.NewReader(append(a, b...)))
	var m Message
	if d.Buffered() != 0 {
		t.Fatal("something is buffered before the first read")
	}
	for _, want := range []int{len(b), 0} {
		if err := d.Next(&m); err != nil {
			t.Fatal(err)
		}
		if d.Buffered() != want {
			t.Errorf("%d bytes buffered, want %d", d.Buffered(), want)
		}
	}
}

// A message cut anywhere is an unexpected end, again and again.
func TestCut(t *testing.T) {
	for _, want := range samples(t) {
		b := encoded(t, want)
		for n := 1; n < len(b); n++ {
			d := NewDecoder(bytes.NewReader(b[:n]))
			var m Message
			for range 2 {
				if err := d.Next(&m); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%v cut at %d of %d: %v", want.Kind, n, len(b), err)
				}
			}
		}
	}
}

// A reader's error between two messages, such as a deadline, breaks nothing.
func TestReaderErrorBetweenMessages(t *testing.T) {
	deadline := errors.New("deadline")
	b := encoded(t, &Message{Kind: KindSync, Token: 1})
	d := NewDecoder(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(deadline)))
	var m Message
	if err := d.Next(&m); err != nil {
		t.Fatal(err)
	}
	if err := d.Next(&m); err != deadline {
		t.Fatal(err)
	}
	d.in.src = bytes.NewReader(b)
	if err := d.Next(&m); err != nil || m.Token != 1 {
		t.Fatal(err, m)
	}
}

func TestReaderWithoutProgress(t *testing.T) {
	d := NewDecoder(stuck{})
	if err := d.Next(new(Message)); err != io.ErrNoProgress {
		t.Fatal(err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// What version 1 does not know it skips: elements, keys and whole messages.
func TestUnknownIsSkipped(t *testing.T) {
	values := "c0 c3 cb3ff0000000000000 ca00000000 d1ffff 93 01 a161 92c0c2 82 a161 01 02 c403ffffff"
	sync := "94 04 07 c3 a6 667574757265" // a trailing "future"
	tests := map[string]string{
		"trailing element": sync,
		"unknown type":     "92 20 a161" + sync,
		"type of 32 bits":  "91 ce00010000" + sync,
		"many values":      "98 20" + values + sync,
		"extensions":       "95 20 d40100 c702010506 d801" + strings.Repeat("00", 16) + "c0" + sync,
	}
	for name, text := range tests {
		d := NewDecoder(bytes.NewReader(unhex(t, text)))
		var m Message
		if err := d.Next(&m); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Kind != KindSync || m.Token != 7 || !m.Final {
			t.Errorf("%s: %+v", name, m)
		}
		want := uint64(1)
		if name == "trailing element" {
			want = 0
		}
		if d.Unknown() != want {
			t.Errorf("%s: %d messages skipped, want %d", name, d.Unknown(), want)
		}
	}

	hello := "93 00 01 8a" +
		"a6 656e67696e65 a4 7a65656b" + // engine: zeek
		"05 a161" + "c0 c0" + "91c0 81c0c0" + "cb0000000000000000 01" + // keys that are no text
		"a3 6e6577 92 81a16193c0c0c0 c702010506" + // new: a tree
		"a3 6e6578 d5010000" +
		"a3 706964 d1 0100" + // pid: 256, as a signed integer
		"a4 6d6f6465 a7 63617074757265" + // mode: capture
		"a5 7265706c79 c3" + // reply
		"a161"
	var m Message
	if err := NewDecoder(bytes.NewReader(unhex(t, hello))).Next(&m); err != nil {
		t.Fatal(err)
	}
	if want := (Hello{Version: 1, Engine: "zeek", PID: 256, Capture: true, Reply: true}); m.Hello != want {
		t.Errorf("got %+v, want %+v", m.Hello, want)
	}
}

// Any width of an integer, any number as a score, raw bytes as text.
func TestWidths(t *testing.T) {
	for _, n := range []string{"07", "cc07", "cd0007", "ce00000007", "cf0000000000000007", "d007", "d10007", "d200000007", "d30000000000000007"} {
		var m Message
		if err := NewDecoder(bytes.NewReader(unhex(t, "92 12 "+n))).Next(&m); err != nil || m.Token != 7 {
			t.Errorf("%s: %v, token %d", n, err, m.Token)
		}
	}
	for _, n := range []string{"01", "d3ffffffffffffffff", "ca3f800000", "cb3ff0000000000000"} {
		var m Message
		if err := NewDecoder(bytes.NewReader(unhex(t, "99 10 05 a161 "+n+" a0 01 ff a0 a0"))).Next(&m); err != nil || m.Label.Score*m.Label.Score != 1 {
			t.Errorf("%s: %v, score %v", n, err, m.Label.Score)
		}
	}
	for _, raw := range []string{"a24500", "d9024500", "da00024500", "c4024500", "c500024500", "c6000000024500"} {
		var m Message
		if err := NewDecoder(bytes.NewReader(unhex(t, "99 01 05 01 00 01 00 02 65 "+raw))).Next(&m); err != nil || string(m.Raw) != "E\x00" {
			t.Errorf("%s: %v, raw %x", raw, err, m.Raw)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"c0":                                   "invalid IP",
		"c404c0000201":                         "192.0.2.1",
		"c41020010db8000000000000000000000001": "2001:db8::1",
		"c41000000000000000000000ffffc0000201": "192.0.2.1", // how Zeek keeps IPv4
		"a9 3139322e302e322e31":                "192.0.2.1",
		"a4 613a3a62":                          "a::b", // text of 4 bytes is text
		"ae 3a3a666666663a312e322e332e34":      "1.2.3.4",
	} {
		var m Message
		err := NewDecoder(bytes.NewReader(unhex(t, "9f 02 05 01 00 01 00 c0 c0 c0"+text+"c0 c0 c0 c0 c0"))).Next(&m)
		if err != nil || m.Src.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, err, m.Src, want)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}
