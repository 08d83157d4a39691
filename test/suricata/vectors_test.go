package suricata

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"serveflow/sidecar/tap/wire"
)

var update = flag.Bool("update", false, "rewrite the vectors of the Lua tests")

const vectorFile = "../../suricata-lua/test/vectors"

// vectors are messages as the Lua scripts make them, with the arguments that
// make them: a function of serveflow/msgpack.lua, the bytes, the arguments.
func vectors(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("# Written by go test ./test/suricata -run Vectors -update\n")
	line := func(name string, encode func(e *wire.Encoder) error, args string) {
		t.Helper()
		var b bytes.Buffer
		if err := encode(wire.NewEncoder(&b)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %x %s\n", name, b.Bytes(), args)
	}

	line("hello", func(e *wire.Encoder) error {
		return e.Hello(&wire.Hello{Engine: "suricata", EngineVersion: "8", Sensor: "dmz-1", PID: 4711})
	}, "8 dmz-1 live packet 4711")
	line("hello", func(e *wire.Encoder) error {
		return e.Hello(&wire.Hello{Engine: "suricata", EngineVersion: "7", Sensor: strings.Repeat("s", 40), PID: 100_000, Run: "100000-17-ids", Capture: true, Meta: true})
	}, "7 "+strings.Repeat("s", 40)+" capture meta 100000 100000-17-ids")

	// Lengths on both sides of every change of format; ids and times are
	// always in the 8-byte one.
	for i, n := range []int{0, 1, 40, 127, 128, 255, 256, 1500, 2048} {
		raw := bytes.Repeat([]byte{byte(i)}, n)
		m := wire.Message{
			Flow: wire.UintID(1<<51 - 1 - uint64(i)), Time: 1_700_000_000_000_000 + int64(i), Dir: 2,
			OrigPkts: uint64(n + 1), RespPkts: uint64(i), WireLen: uint32(n * n), Link: 101, Raw: raw,
		}
		line("packet", func(e *wire.Encoder) error { return e.Packet(&m) },
			fmt.Sprintf("%v %d %d %d %d 101 x%x", m.Flow, m.Time, m.OrigPkts, m.RespPkts, m.WireLen, raw))
	}
	line("packet", func(e *wire.Encoder) error {
		return e.Packet(&wire.Message{Flow: wire.UintID(1 << 32), Time: 1 << 32, Dir: 2, OrigPkts: 1, WireLen: 1, Raw: []byte{1}})
	}, "4294967296 4294967296 1 0 1 0 x01")

	meta := wire.Message{
		Flow: wire.UintID(0x4a3c1b2d4e5f6), Time: 1_700_000_000_023_616, Dir: 2, OrigPkts: 3, RespPkts: 2,
		OrigBytes: 70_000, RespBytes: 5_000_000_000, Proto: 6, SrcPort: 443, DstPort: 50_000, PayloadLen: 1400,
	}
	for _, c := range []struct{ src, dst string }{
		{"192.0.2.1", "198.51.100.7"},
		{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:0db8:0000:0000:0000:0000:0000:0002"},
	} {
		m := meta
		m.Src, m.Dst = netip.MustParseAddr(c.src), netip.MustParseAddr(c.dst)
		fmt.Fprintf(&out, "meta %x %v %d 3 2 70000 5000000000 6 %s 443 %s 50000 1400 nil\n",
			textual(t, &m, c.src, c.dst), m.Flow, m.Time, c.src, c.dst)
	}

	line("sync", func(e *wire.Encoder) error { return e.Sync(1, true) }, "1")
	line("stats", func(e *wire.Encoder) error { return e.Stats(1_700_000_001_000_000, 1000, 3) }, "1700000001000000 1000 3")
	line("stats", func(e *wire.Encoder) error { return e.Stats(1_700_000_001_000_000, 1<<40, 1<<16) },
		fmt.Sprintf("1700000001000000 %d %d", uint64(1)<<40, 1<<16))
	return out.String()
}

// textual encodes META with its addresses as text, which is how Suricata gives
// them to a script.
func textual(t *testing.T, m *wire.Message, src, dst string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := wire.NewEncoder(&b).Meta(m); err != nil {
		t.Fatal(err)
	}
	message := b.Bytes()
	for addr, text := range map[netip.Addr]string{m.Src: src, m.Dst: dst} {
		binary := append([]byte{0xc4, byte(addr.BitLen() / 8)}, addr.AsSlice()...)
		head := []byte{0xa0 + byte(len(text))}
		if len(text) > 31 {
			head = []byte{0xd9, byte(len(text))}
		}
		message = bytes.Replace(message, binary, append(head, text...), 1)
	}
	var got wire.Message
	if err := wire.NewDecoder(bytes.NewReader(message)).Next(&got); err != nil {
		t.Fatal(err)
	}
	if got.Src != m.Src || got.Dst != m.Dst || got.SrcPort != m.SrcPort || got.PayloadLen != m.PayloadLen {
		t.Fatalf("%x decodes to %+v", message, got)
	}
	return message
}

func TestVectors(t *testing.T) {
	want := vectors(t)
	if *update {
		if err := os.WriteFile(vectorFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the codec makes; -update rewrites it", vectorFile)
	}
}
