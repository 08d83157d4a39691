package wire

import (
	"bytes"
	"io"
	"net/netip"
	"testing"
)

// loop gives the same bytes for ever.
type loop struct {
	b   []byte
	pos int
}

func (l *loop) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], l.b[l.pos:])
		l.pos = (l.pos + k) % len(l.b)
		n += k
	}
	return n, nil
}

// steady has the messages whose coding must not allocate.
func steady(t testing.TB) []*Message {
	uid := id(t, "CHhAvVGS1DHFjwGM9")
	raw := bytes.Repeat([]byte{0x45}, 120)
	return []*Message{
		{Kind: KindPacket, Flow: uid, Time: 1_700_000_000_000_000, OrigPkts: 3, RespPkts: 2, WireLen: 1500, Link: 101, Raw: raw},
		{Kind: KindMeta, Flow: UintID(1 << 50), Time: 1_700_000_000_000_000, OrigPkts: 3, RespPkts: 2, OrigBytes: 900, RespBytes: 1800, Proto: 6,
			Src: netip.MustParseAddr("192.0.2.1"), SrcPort: 50_000, Dst: netip.MustParseAddr("2001:db8::1"), DstPort: 443, PayloadLen: 1400},
		{Kind: KindEnd, Flow: uid, Time: 1_700_000_000_000_000},
		{Kind: KindSync, Token: 1, Final: true},
		{Kind: KindStats, Time: 1_700_000_000_000_000, Sent: 1 << 30},
		{Kind: KindLabel, Flow: uid, Label: Label{Flow: uid, Label: "camera", Score: .97, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted"}},
	}
}

// META as Suricata's Lua sends it, with addresses as text.
func metaText(t testing.TB) []byte {
	return unhex(t, "9f 02 cf0004000000000000 cf00060a24181e4000 00 03 02 cd0384 cd0708 06"+
		"ab 3139322e3136382e312e31 cdc350 d911 323030313a6462383a3a613a623a633a64 cd01bb cd0578 c0")
}

func TestNoAllocations(t *testing.T) {
	inputs := map[string][]byte{"META with text": metaText(t)}
	for _, m := range steady(t) {
		inputs[m.Kind.String()] = encoded(t, m)
		e := NewEncoder(io.Discard)
		if n := testing.AllocsPerRun(100, func() { encode(e, m) }); n != 0 {
			t.Errorf("encoding %v: %v allocations", m.Kind, n)
		}
	}
	for name, b := range inputs {
		d := NewDecoder(&loop{b: b})
		var m Message
		n := testing.AllocsPerRun(1000, func() {
			if err := d.Next(&m); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("decoding %s: %v allocations", name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	inputs := map[string][]byte{"META_text": metaText(b)}
	for _, m := range steady(b) {
		inputs[m.Kind.String()] = encoded(b, m)
	}
	for name, input := range inputs {
		b.Run(name, func(b *testing.B) {
			d := NewDecoder(&loop{b: input})
			var m Message
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Next(&m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, m := range steady(b) {
		b.Run(m.Kind.String(), func(b *testing.B) {
			e := NewEncoder(io.Discard)
			b.ReportAllocs()
			for b.Loop() {
				if err := encode(e, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	uid := id(b, "CHhAvVGS1DHFjwGM9")
	var sum uint64
	for b.Loop() {
		sum += uid.Hash()
	}
	_ = sum
}
