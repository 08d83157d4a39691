package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// example is one fenced block of docs/protocol-examples.md.
type example struct {
	bytes []byte
	lines []exampleLine
}

type exampleLine struct {
	bytes   []byte
	comment string
}

func examples(t *testing.T) []example {
	t.Helper()
	page, err := os.ReadFile("../../../docs/protocol-examples.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for _, block := range strings.Split(string(page), "```msgpack\n")[1:] {
		block, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatal("a block is not closed")
		}
		var e example
		for line := range strings.Lines(block) {
			hex, comment, _ := strings.Cut(line, "#")
			b := unhex(t, hex)
			e.bytes = append(e.bytes, b...)
			e.lines = append(e.lines, exampleLine{b, strings.TrimSpace(comment)})
		}
		all = append(all, e)
	}
	return all
}

// What the page's examples must decode to.
func documented(t *testing.T) []*Message {
	uid := id(t, "CHhAvVGS1DHFjwGM9")
	return []*Message{
		{Kind: KindHello, Hello: Hello{Version: 1, Engine: "zeek", EngineVersion: "8.0.10", Sensor: "dmz-1", PID: 4711, Reply: true}},
		{Kind: KindPacket, Flow: uid, Time: 1_700_000_000_000_000, OrigPkts: 1, WireLen: 40, Link: 101,
			Raw: unhex(t, "4500002800014000400600 00c0000201c6336407 c35001bb00000001000000005002faf000000000")},
		{Kind: KindMeta, Flow: UintID(0x4a3c1b2d4e5f6), Time: 1_700_000_000_023_616, Dir: 1, OrigPkts: 3, RespPkts: 2,
			OrigBytes: NoCount, RespBytes: NoCount, Proto: 6, Src: netip.MustParseAddr("198.51.100.7"), SrcPort: 443,
			Dst: netip.MustParseAddr("192.0.2.1"), DstPort: 50_000, PayloadLen: 1400},
		{Kind: KindEnd, Flow: uid, Time: 1_700_000_001_000_000},
		{Kind: KindSync, Token: 42, Final: true},
		{Kind: KindStats, Time: 1_700_000_001_000_000, Sent: 1000, Dropped: 3},
		{Kind: KindLabel, Flow: uid, Label: Label{Flow: uid, Label: "camera", Score: .96875, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted", Services: "tls,ssl", Margin: .9375}},
		{Kind: KindWelcome, Welcome: Welcome{Version: 1, Packets: 10, RawBytes: 120}},
		{Kind: KindSynced, Token: 42},
		{Kind: KindError, Code: CodeVersion, Text: "this end speaks version 1"},
	}
}

// The page shows every type, and its bytes are the messages it says.
func TestProtocolPage(t *testing.T) {
	all, want := examples(t), documented(t)
	if len(all) != len(want) {
		t.Fatalf("%d examples, want one of each of %d types", len(all), len(want))
	}
	for i, e := range all {
		t.Run(want[i].Kind.String(), func(t *testing.T) {
			var m Message
			if err := NewDecoder(bytes.NewReader(e.bytes)).Next(&m); err != nil {
				t.Fatal(err)
			}
			if !same(&m, want[i]) {
				t.Errorf("decodes to\n%+v, want\n%+v", m, *want[i])
			}
			if b := encoded(t, &m); !bytes.Equal(b, e.bytes) {
				t.Errorf("encodes to\n%x, the page says\n%x", b, e.bytes)
			}
			for _, l := range e.lines {
				checkComment(t, l)
			}
		})
	}
}

// checkComment reads a line with another decoder and compares what the page
// says of it: "array of 3", "map of 3", a key, or "name = value".
func checkComment(t *testing.T, l exampleLine) {
	t.Helper()
	want := l.comment
	if _, value, ok := strings.Cut(l.comment, "= "); ok {
		want = value
	}
	var got string
	d := msgpack.NewDecoder(bytes.NewReader(l.bytes))
	switch n := 0; {
	case strings.HasPrefix(want, "array"):
		n, _ = d.DecodeArrayLen()
		got = fmt.Sprint("array of ", n)
	case strings.HasPrefix(want, "map"):
		n, _ = d.DecodeMapLen()
		got = fmt.Sprint("map of ", n)
	default:
		v, err := d.DecodeInterface()
		if err != nil {
			t.Fatalf("%x: %v", l.bytes, err)
		}
		switch v := v.(type) {
		case nil:
			got = "nil"
		case []byte:
			got = fmt.Sprintf("%x", v)
		default:
			got = fmt.Sprint(v)
		}
	}
	if short, ok := strings.CutSuffix(want, "..."); ok {
		got, want = got[:min(len(short), len(got))], short
	}
	if got != want {
		t.Errorf("%x is %q, the page says %q", l.bytes, got, l.comment)
	}
}

// The limits and codes the page names are those of the package.
func TestProtocolPageNumbers(t *testing.T) {
	text := ""
	for _, name := range []string{"protocol.md", "protocol-from-tap.md", "protocol-from-sidecar.md"} {
		page, err := os.ReadFile("../../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text += strings.Join(strings.Fields(string(page)), " ") + " "
	}
	for what, n := range map[string]int{
		"1 to %d bytes of ASCII":             MaxFlowID,
		"| str | %d bytes;":                  MaxText,
		"| bytes, up to %s | the packet's":   MaxRaw,
		"| bytes, up to %s, or nil |":        MaxPayload,
		"| packets | uint, up to %s |":       MaxPackets,
		"| raw_bytes | uint, up to %s |":     MaxRaw,
		"| payload_bytes | uint, up to %s |": MaxPayload,
		"%d elements;":                       MaxElements,
		"%d keys in a map,":                  MaxKeys,
		"of up to %d bytes; in what":         MaxText,
		"%s values, nested ones included":    MaxSkipValues,
		"and %s bytes of str, bin and ext":   MaxSkipBytes,
		"str: %d bytes":                      MaxAddrText,
		"| %d | malformed |":                 int(CodeMalformed),
		"| %d | version |":                   int(CodeVersion),
		"| %d | order |":                     int(CodeOrder),
		"| %d | refused |":                   int(CodeRefused),
		"| %d | limit |":                     int(CodeLimit),
		"| %d | timeout |":                   int(CodeTimeout),
		"| %d | shutdown |":                  int(CodeShutdown),
		"| %d | internal |":                  int(CodeInternal),
	} {
		var want string
		if strings.Contains(what, "%s") {
			want = fmt.Sprintf(what, thousands(n))
		} else {
			want = fmt.Sprintf(what, n)
		}
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, m := range documented(t) {
		if want := fmt.Sprintf("## %d %v ", m.Kind, m.Kind); !strings.Contains(text, want) {
			t.Errorf("the page has no heading %q", want)
		}
	}
}

// thousands writes n as the page does: 2,048.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
