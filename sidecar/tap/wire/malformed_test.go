package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
)

// What breaks the specification, in hex, with the field that is to blame and a
// part of the reason.
var malformed = []struct{ name, hex, field, why string }{
	{"no array", "01", "message", "0x01"},
	{"a map", "80", "message", "0x80"},
	{"nil", "c0", "message", "0xc0"},
	{"the unused code", "c1", "message", "0xc1"},
	{"an empty array", "90", "type", "missing"},
	{"a type that is text", "91 a0", "type", "0xa0"},
	{"a negative type", "91 ff", "type", "negative"},
	{"a huge array", "dd ffffffff 04", "message", "4294967295 elements"},
	{"an array over the limit", "dc 0041 04", "message", "65 elements"},

	{"HELLO: no version", "91 00", "version", "missing"},
	{"HELLO: version 0", "92 00 00", "version", "version 1"},
	{"HELLO: version 2", "92 00 02", "version", "version 1"},
	{"HELLO: negative version", "93 00 d0ff 80", "version", "negative"},
	{"HELLO: no map", "92 00 01", "map", "missing"},
	{"HELLO: an array as map", "93 00 01 90", "map", "0x90"},
	{"HELLO: a huge map", "93 00 01 df ffffffff", "map", "4294967295 elements"},
	{"HELLO: a map over the limit", "93 00 01 de 0041", "map", "65 elements"},
	{"HELLO: a huge key", "93 00 01 81 db ffffffff", "key", "4294967295 bytes"},
	{"HELLO: engine is a number", "93 00 01 81 a6 656e67696e65 01", "engine", "0x01"},
	{"HELLO: engine is too long", "93 00 01 81 a6 656e67696e65 da 0101", "engine", "257 bytes"},
	{"HELLO: control character", "93 00 01 81 a6 656e67696e65 a1 0a", "engine", "UTF-8"},
	{"HELLO: sensor not UTF-8", "93 00 01 81 a6 73656e736f72 a1 ff", "sensor", "UTF-8"},
	{"HELLO: sensor with DEL", "93 00 01 81 a6 73656e736f72 a1 7f", "sensor", "UTF-8"},
	{"HELLO: sensor with C1", "93 00 01 81 a6 73656e736f72 a2 c285", "sensor", "UTF-8"},
	{"HELLO: sensor with half a rune", "93 00 01 81 a6 73656e736f72 a1 c3", "sensor", "UTF-8"},
	{"HELLO: negative pid", "93 00 01 81 a3 706964 ff", "pid", "negative"},
	{"HELLO: unknown mode", "93 00 01 81 a4 6d6f6465 a4 66617374", "mode", `"fast" is neither "live" nor "capture"`},
	{"HELLO: unknown events", "93 00 01 81 a6 6576656e7473 a1 78", "events", `neither "packet" nor "meta"`},
	{"HELLO: reply is a number", "93 00 01 81 a5 7265706c79 01", "reply", "not a boolean"},
	{"HELLO: reply is nil", "93 00 01 81 a5 7265706c79 c0", "reply", "not a boolean"},
	{"HELLO: unknown key with a huge value", "93 00 01 81 a1 78 c6 ffffffff", "unknown", "bytes to skip"},

	{"PACKET: no flow", "91 01", "flow", "missing"},
	{"PACKET: flow is nil", "92 01 c0", "flow", "0xc0"},
	{"PACKET: flow is a float", "92 01 cb3ff0000000000000", "flow", "0xcb"},
	{"PACKET: flow is binary", "92 01 c40161", "flow", "write it as str"},
	{"PACKET: negative flow", "92 01 ff", "flow", "negative"},
	{"PACKET: empty flow", "92 01 a0", "flow", "printable"},
	{"PACKET: flow with a space", "92 01 a2 6120", "flow", "printable"},
	{"PACKET: flow not ASCII", "92 01 a2 c3a4", "flow", "printable"},
	{"PACKET: flow of 33 bytes", "92 01 d921", "flow", "33 bytes"},
	{"PACKET: flow of 4 GiB", "92 01 dbffffffff", "flow", "4294967295 bytes"},
	{"PACKET: no time", "92 01 05", "ts_us", "missing"},
	{"PACKET: negative time", "93 01 05 ff", "ts_us", "negative"},
	{"PACKET: time over 63 bits", "93 01 05 cf8000000000000000", "ts_us", "over"},
	{"PACKET: time is a float", "93 01 05 ca00000000", "ts_us", "0xca"},
	{"PACKET: dir 3", "94 01 05 00 03", "dir", "3 is over 2"},
	{"PACKET: negative dir", "94 01 05 00 ff", "dir", "negative"},
	{"PACKET: no packets", "96 01 05 00 00 00 00", "resp_pkts", "cannot both be 0"},
	{"PACKET: negative count", "95 01 05 00 00 d3ffffffffffffffff", "orig_pkts", "negative"},
	{"PACKET: wire_len of 33 bits", "97 01 05 00 00 01 00 cf0000000100000000", "wire_len", "over"},
	{"PACKET: link of 33 bits", "98 01 05 00 00 01 00 00 cf0000000100000000", "link", "over"},
	{"PACKET: no raw", "98 01 05 00 00 01 00 00 00", "raw", "missing"},
	{"PACKET: raw is nil", "99 01 05 00 00 01 00 00 00 c0", "raw", "0xc0"},
	{"PACKET: raw over the limit", "99 01 05 00 00 01 00 00 00 c50801", "raw", "2049 bytes"},
	{"PACKET: raw of 4 GiB", "99 01 05 00 00 01 00 00 00 c6ffffffff", "raw", "4294967295 bytes"},
	{"PACKET: trailing 4 GiB", "9a 01 05 00 00 01 00 00 00 c400 c6ffffffff", "unknown", "bytes to skip"},

	{"META: negative bytes", "97 02 05 00 00 01 00 ff", "orig_bytes", "negative"},
	{"META: bytes over 63 bits", "97 02 05 00 00 01 00 cfffffffffffffffff", "orig_bytes", "over"},
	{"META: proto 256", "99 02 05 00 00 01 00 c0 c0 cd0100", "proto", "256 is over 255"},
	{"META: src is a number", "9a 02 05 00 00 01 00 c0 c0 c0 01", "src", "not an address"},
	{"META: src of 5 bytes", "9a 02 05 00 00 01 00 c0 c0 c0 c4050000000000", "src", "not an IP address"},
	{"META: src of no bytes", "9a 02 05 00 00 01 00 c0 c0 c0 c400", "src", "not an IP address"},
	{"META: src no address", "9a 02 05 00 00 01 00 c0 c0 c0 a3612e62", "src", "not an IP address"},
	{"META: src with a zone", "9a 02 05 00 00 01 00 c0 c0 c0 a6666538303a2531", "src", "not an IP address"},
	{"META: src too long", "9a 02 05 00 00 01 00 c0 c0 c0 d92e", "src", "46 bytes"},
	{"META: port 65536", "9b 02 05 00 00 01 00 c0 c0 c0 c0 ce00010000", "sport", "over 65535"},
	{"META: payload_len too big", "9e 02 05 00 00 01 00 c0 c0 c0 c0 c0 c0 c0 ce80000000", "payload_len", "over"},
	{"META: payload over the limit", "9f 02 05 00 00 01 00 c0 c0 c0 c0 c0 c0 c0 c0 da0801", "payload", "2049 bytes"},
	{"META: no payload", "9e 02 05 00 00 01 00 c0 c0 c0 c0 c0 c0 c0 c0", "payload", "missing"},

	{"END: no time", "92 03 05", "ts_us", "missing"},
	{"SYNC: no token", "91 04", "token", "missing"},
	{"SYNC: token is text", "92 04 a161", "token", "0xa1"},
	{"SYNC: final is a number", "93 04 01 01", "final", "not a boolean"},
	{"STATS: no dropped", "93 05 01 01", "dropped", "missing"},
	{"LABEL: score is text", "94 10 05 a161 a130", "score", "not a number"},
	{"LABEL: score is no number", "94 10 05 a161 ca7fc00000", "score", "finite"},
	{"LABEL: infinite score", "94 10 05 a161 cb7ff0000000000000", "score", "finite"},
	{"LABEL: score beyond float32", "94 10 05 a161 cb7fe0000000000000", "score", "finite"},
	{"LABEL: latency over 63 bits", "97 10 05 a0 00 a0 00 cfffffffffffffffff", "latency_us", "over"},
	{"LABEL: label with a newline", "93 10 05 a10a", "label", "UTF-8"},
	{"WELCOME: version 3", "93 11 03 80", "version", "version 1"},
	{"WELCOME: too many packets", "93 11 01 81 a7 7061636b657473 cd0401", "packets", "1025 is over 1024"},
	{"WELCOME: too many bytes", "93 11 01 81 a9 7261775f6279746573 cd0801", "raw_bytes", "2049 is over"},
	{"SYNCED: no token", "91 12", "token", "missing"},
	{"ERROR: code is nil", "92 13 c0", "code", "0xc0"},

	{"unknown type: nested for ever", "92 20" + strings.Repeat("91", 2000), "unknown", "1 elements, over 0"},
	{"unknown type: maps for ever", "92 20" + strings.Repeat("81c0", 2000), "unknown", "1 elements, over 0"},
	{"unknown type: a huge array", "92 20 ddffffffff", "unknown", "4294967295 elements"},
	{"unknown type: a huge map", "92 20 dfffffffff", "unknown", "4294967295 elements"},
	{"unknown type: a huge map in values", "92 20 df80000000", "unknown", "2147483648 elements"},
	{"unknown type: a huge text", "92 20 dbffffffff", "unknown", "bytes to skip"},
	{"unknown type: a huge extension", "92 20 c9ffffffff", "unknown", "bytes to skip"},
	{"unknown type: much together", "93 20 c58000" + strings.Repeat("00", 0x8000) + "c58001", "unknown", "bytes to skip"},
	{"unknown type: many short values", "dc0040 20" + strings.Repeat("919f"+strings.Repeat("c0", 15), 63), "unknown", "over"},
	{"unknown type: the unused code", "92 20 c1", "unknown", "0xc1"},
}

// zeros goes on for ever: nobody may wait for the end of what is refused.
type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	z.n += len(p)
	clear(p)
	return len(p), nil
}

func TestMalformed(t *testing.T) {
	for _, test := range malformed {
		b := unhex(t, test.hex)
		var endless zeros
		d := NewDecoder(io.MultiReader(bytes.NewReader(b), &endless))
		var m Message
		err := d.Next(&m)
		var bad *MalformedError
		if !errors.As(err, &bad) {
			t.Errorf("%s: got %v, want a malformed %s", test.name, err, test.field)
			continue
		}
		if bad.Field != test.field || !strings.Contains(bad.Why, test.why) {
			t.Errorf("%s: got %q: %q, want %q: …%s…", test.name, bad.Field, bad.Why, test.field, test.why)
		}
		if bad.Offset < 0 || bad.Offset > int64(len(b)) {
			t.Errorf("%s: blamed byte %d of %d", test.name, bad.Offset, len(b))
		}
		if endless.n > ReadBuffer {
			t.Errorf("%s: read %d bytes on", test.name, endless.n)
		}
		if cap(m.buf) > MaxRaw {
			t.Errorf("%s: took %d bytes", test.name, cap(m.buf))
		}
		if again := d.Next(&m); again != err {
			t.Errorf("%s: then %v", test.name, again)
		}
	}
}

func TestErrorCode(t *testing.T) {
	for field, want := range map[string]ErrorCode{"version": CodeVersion, "raw": CodeMalformed} {
		if got := (&MalformedError{Field: field}).Code(); got != want {
			t.Errorf("%s: code %d, want %d", field, got, want)
		}
	}
	hello := []byte{0x93, 0, 1, 0x80}
	for _, c := range []struct{ bytes, want string }{
		{"\x93\x03\xc4\x01a\x00", "malformed message 2 (END) at its byte 2 (byte 6 of the connection): flow: a flow id is an integer or text: write it as str, not as bin"},
		{"\xc0", "malformed message 2 at its byte 0 (byte 4 of the connection): message: not an array: msgpack code 0xc0"},
		{"\x93\x03\xa5ab", "the connection ended inside message 2 (END) at its byte 5 (byte 9 of the connection)"},
	} {
		d := NewDecoder(io.MultiReader(bytes.NewReader(hello), strings.NewReader(c.bytes)))
		var m Message
		if err := d.Next(&m); err != nil {
			t.Fatal(err)
		}
		if err := d.Next(&m); fmt.Sprint(err) != c.want {
			t.Errorf("%x: got %q, want %q", c.bytes, err, c.want)
		}
	}
	text := (&MalformedError{Offset: 17, Field: "dir", Why: "3 is over 2"}).Error()
	if want := "malformed message at byte 17: dir: 3 is over 2"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// What a Decoder would refuse is not written; the Encoder goes on after it.
func TestEncoderRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	ok := Message{OrigPkts: 1}
	change := func(f func(m *Message)) *Message { m := ok; f(&m); return &m }
	for field, m := range map[string]*Message{
		"version":       {Kind: KindHello, Hello: Hello{Version: 2}},
		"engine":        {Kind: KindHello, Hello: Hello{Engine: long}},
		"sensor":        {Kind: KindHello, Hello: Hello{Sensor: "a\nb"}},
		"pid":           {Kind: KindHello, Hello: Hello{PID: -1}},
		"dir":           change(func(m *Message) { m.Kind, m.Dir = KindPacket, 3 }),
		"resp_pkts":     {Kind: KindPacket},
		"ts_us":         change(func(m *Message) { m.Kind, m.Time = KindPacket, -1 }),
		"raw":           change(func(m *Message) { m.Kind, m.Raw = KindPacket, make([]byte, MaxRaw+1) }),
		"payload":       change(func(m *Message) { m.Kind, m.Payload = KindMeta, make([]byte, MaxPayload+1) }),
		"payload_len":   change(func(m *Message) { m.Kind, m.PayloadLen = KindMeta, -2 }),
		"orig_bytes":    change(func(m *Message) { m.Kind, m.OrigBytes = KindMeta, 1<<63 }),
		"src":           change(func(m *Message) { m.Kind, m.Src = KindMeta, netip.MustParseAddr("fe80::1%x") }),
		"dropped":       {Kind: KindStats, Dropped: math.MaxUint64},
		"label":         {Kind: KindLabel, Label: Label{Label: "a\xff"}},
		"score":         {Kind: KindLabel, Label: Label{Score: float32(math.NaN())}},
		"packets":       {Kind: KindWelcome, Welcome: Welcome{Packets: MaxPackets + 1}},
		"raw_bytes":     {Kind: KindWelcome, Welcome: Welcome{RawBytes: MaxRaw + 1}},
		"payload_bytes": {Kind: KindWelcome, Welcome: Welcome{PayloadBytes: -1}},
		"code":          {Kind: KindError, Code: -1},
	} {
		var b bytes.Buffer
		e := NewEncoder(&b)
		err := encode(e, m)
		var bad *MalformedError
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
		if b.Len() > 0 {
			t.Errorf("%s: wrote %x", field, b.Bytes())
		}
		if err := e.Synced(1); err != nil || b.Len() == 0 {
			t.Errorf("%s: then %v", field, err)
		}
	}
}

// One Write a message, and a writer's error comes back.
func TestEncoderWritesWhole(t *testing.T) {
	var w writes
	e := NewEncoder(&w)
	for _, m := range samples(t) {
		w.n, w.err = 0, nil
		if err := encode(e, m); err != nil || w.n != 1 {
			t.Errorf("%v: %d writes, %v", m.Kind, w.n, err)
		}
		w.err = io.ErrClosedPipe
		if err := encode(e, m); err != io.ErrClosedPipe {
			t.Errorf("%v: %v", m.Kind, err)
		}
	}
}

type writes struct {
	n   int
	err error
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return len(p), w.err
}

// ERROR carries any text, cleaned.
func TestErrorText(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                      "plain",
		"two\nlines \x1b[31m\xff":    "two lines  [31m ",
		strings.Repeat("ä", MaxText): strings.Repeat("ä", MaxText/2),
	} {
		var b bytes.Buffer
		if err := NewEncoder(&b).Error(CodeInternal, text); err != nil {
			t.Fatal(err)
		}
		var m Message
		if err := NewDecoder(&b).Next(&m); err != nil || m.Text != want || m.Code != CodeInternal {
			t.Errorf("%q: %v, got %q", text, err, m.Text)
		}
	}
}
