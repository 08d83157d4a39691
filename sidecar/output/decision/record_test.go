package decision

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"testing"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func text(t testing.TB, s string) wire.FlowID {
	t.Helper()
	f, err := wire.StringID(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func tuple(proto uint8, src string, sport uint16, dst string, dport uint16) packet.Tuple {
	t := packet.Tuple{Proto: proto, SrcPort: sport, DstPort: dport}
	t.SetAddrs(netip.MustParseAddr(src), netip.MustParseAddr(dst))
	return t
}

func records(t testing.TB) []Record {
	return []Record{
		{
			Start: 1_700_000_000_000_042, Sensor: "dmz-1", Flow: text(t, "CHhAvVGS1DHFjwGM9"),
			Tuple: tuple(6, "192.0.2.1", 50_000, "198.51.100.7", 443),
			Label: "camera", Score: .96875, Margin: .9, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted",
		},
		{
			Start: 1_700_000_001_500_000, Flow: wire.UintID(1 << 50),
			Tuple: tuple(58, "2001:db8::1", 128, "2001:db8::2", 0),
			Label: "web", Agrees: Disagrees, Score: 1e-7, Stage: "last", Packets: 10, LatencyUS: 1_250_000, Model: "iot-device@1.0.0", Reason: "last_stage",
		},
		{ // what a tap without addresses gives
			Start: 7, Sensor: "a\"b\\c\n\x7f\xff Büro", Flow: text(t, `q"\`), Tuple: packet.Tuple{Proto: 17, SrcPort: 53},
			Label: "unknown", Score: float32(math.NaN()), Reason: "unserved",
		},
		{Tuple: tuple(47, "10.0.0.1", 0, "10.0.0.2", 0), LatencyUS: -3, Reason: "partial"},
		{Start: -1, Tuple: packet.Tuple{Version: 4, SrcPort: 1}},
	}
}

func TestRecordGolden(t *testing.T) {
	var got []byte
	for _, r := range records(t) {
		got = r.Append(got)
	}
	const golden = "testdata/labels.jsonl"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range bytes.Lines(got) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// Every byte of an address, and every digit of a time, is written as the standard
// library does.
func TestNumbersOfALine(t *testing.T) {
	for b := range 256 {
		a := netip.AddrFrom4([4]byte{byte(b), byte(b * 7), 0, byte(255 - b)})
		b4 := a.As4()
		var in [16]byte
		copy(in[:], b4[:])
		if got := string(appendAddr([]byte("x"), 4, &in)); got != "x"+a.String() {
			t.Errorf("%s, want x%s", got, a)
		}
	}
	for _, us := range []int64{0, 1, 9, 10, 99_999, 100_000, 999_999, 1_000_000, 1_000_001, 1_700_000_000_123_456, math.MaxInt64} {
		want := fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
		if got := string(AppendSeconds(nil, us)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := string(AppendSeconds(nil, -us)); us > 0 && got != "-"+want {
			t.Errorf("%s, want -%s", got, want)
		}
	}
}

// Another JSON reader reads back what was written, whatever the text.
func FuzzRecord(f *testing.F) {
	f.Add("camera", int64(1_700_000_000_000_042), float32(.5))
	f.Add("\x00\x1f\"\\\x7f\u2028\xc3", int64(-1), float32(math.Inf(1)))
	f.Fuzz(func(t *testing.T, label string, start int64, score float32) {
		line := (&Record{Label: label, Start: start, Score: score}).Append(nil)
		if n := bytes.IndexByte(line, '\n'); n != len(line)-1 {
			t.Fatalf("a newline inside: %q", line)
		}
		var got struct {
			TS    json.Number
			Label string
			Score *float32
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if want := string([]rune(label)); got.Label != want { // each broken byte is U+FFFD
			t.Errorf("label %q, want %q", got.Label, want)
		}
		if finite := score-score == 0; finite != (got.Score != nil) || finite && *got.Score != score {
			t.Errorf("score %v: %q", score, line)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	r := records(b)[0]
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Append(dst[:0])
	}
	b.SetBytes(int64(len(dst)))
}
