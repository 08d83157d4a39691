package zeek

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// dialogue gives lines to the program of testing/unit/messages.cc and returns a
// line for each.
func dialogue(t *testing.T, lines []string) []string {
	t.Helper()
	cmd := exec.Command(compile(t, "messages"))
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(lines) {
		t.Fatalf("%d answers to %d lines", len(answers), len(lines))
	}
	return answers
}

func encoded(t *testing.T, encode func(e *wire.Encoder) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(wire.NewEncoder(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func id(t *testing.T, s string) wire.FlowID {
	t.Helper()
	flow, err := wire.StringID(s)
	if err != nil {
		t.Fatal(err)
	}
	return flow
}

// dash is how the program writes no bytes.
func dash(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return fmt.Sprintf("%x", b)
}

// TestPack compares the plugin's messages with those of the Go codec, byte by byte.
func TestPack(t *testing.T) {
	var lines, want []string
	add := func(line string, encode func(e *wire.Encoder) error) {
		t.Helper()
		lines = append(lines, line)
		want = append(want, fmt.Sprintf("%x", encoded(t, encode)))
	}
	for _, sensor := range []string{"dmz-1", strings.Repeat("s", 31), strings.Repeat("s", 32), strings.Repeat("s", 256)} {
		for _, capture := range []bool{false, true} {
			add(fmt.Sprintf("hello 8.0.10 %s 4711 %d", sensor, map[bool]int{true: 1}[capture]), func(e *wire.Encoder) error {
				return e.Hello(&wire.Hello{Engine: "zeek", EngineVersion: "8.0.10", Sensor: sensor, PID: 4711, Capture: capture, Reply: true})
			})
		}
	}
	add("hello 8.0.10 dmz-1 4711 1 0123abc", func(e *wire.Encoder) error {
		return e.Hello(&wire.Hello{Engine: "zeek", EngineVersion: "8.0.10", Sensor: "dmz-1", PID: 4711, Capture: true, Run: "0123abc", Reply: true})
	})
	// Lengths on both sides of every change of format, and of how bytes are copied.
	flows := []string{"C", "CHhAvVGS1DHFjwGM9", "CAbcdefghijklmn", "CAbcdefghijklmno", "CAbcdefghijklmnopqrstuvwxyz0123", "CAbcdefghijklmnopqrstuvwxyz01234"}
	for i, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 127, 128, 255, 256, 1500, 2048} {
		raw := make([]byte, n)
		for k := range raw {
			raw[k] = byte(i + k + k>>8)
		}
		m := wire.Message{
			Flow: id(t, flows[i%len(flows)]), Time: 1_700_000_000_000_000 + int64(i), Dir: uint8(i % 3),
			OrigPkts: uint64(n + 1), RespPkts: uint64(i), WireLen: uint32(n * n), Link: 101, Raw: raw,
		}
		add(fmt.Sprintf("packet %v %d %d %d %d %d %s", m.Flow, m.Time, m.Dir, m.OrigPkts, m.RespPkts, m.WireLen, dash(m.Raw)),
			func(e *wire.Encoder) error { return e.Packet(&m) })
	}
	for _, ts := range []int64{0, 127, 128, 65_536, 1 << 32, 1_700_000_001_000_000} {
		add(fmt.Sprintf("end CHhAvVGS1DHFjwGM9 %d", ts), func(e *wire.Encoder) error { return e.End(id(t, "CHhAvVGS1DHFjwGM9"), ts) })
		add(fmt.Sprintf("stats %d %d 3", ts, ts/2), func(e *wire.Encoder) error { return e.Stats(ts, uint64(ts/2), 3) })
		add(fmt.Sprintf("sync %d 1", ts), func(e *wire.Encoder) error { return e.Sync(uint64(ts), true) })
		add(fmt.Sprintf("sync %d 0", ts), func(e *wire.Encoder) error { return e.Sync(uint64(ts), false) })
	}
	for i, got := range dialogue(t, lines) {
		if got != want[i] {
			t.Errorf("%s\n got %s\nwant %s", lines[i], got, want[i])
		}
	}
}

// TestRunName wants another name each time.
func TestRunName(t *testing.T) {
	names := dialogue(t, []string{"run", "run"})
	for _, name := range names {
		text, err := hex.DecodeString(name)
		if err != nil || !regexp.MustCompile(`^[0-9a-f]{32}$`).Match(text) {
			t.Errorf("the name of a run: %q", text)
		}
	}
	if names[0] == names[1] {
		t.Errorf("two runs have the name %s", names[0])
	}
}

// answers are messages of a sidecar, and what the plugin has to read.
func answers(t *testing.T) (messages [][]byte, read []string) {
	add := func(what string, encode func(e *wire.Encoder) error) {
		messages, read = append(messages, encoded(t, encode)), append(read, what)
	}
	for _, l := range []wire.Label{
		{Flow: id(t, "CHhAvVGS1DHFjwGM9"), Label: "camera", Score: 0.96875, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted"},
		{Flow: id(t, "C"), Label: "unknown", Score: 0, Stage: "", Packets: 0, LatencyUS: -5, Model: strings.Repeat("m", 256), Reason: "partial"},
		{Flow: id(t, strings.Repeat("C", 32)), Label: "größe", Score: 1, Packets: 1 << 20, LatencyUS: 1 << 40, Reason: "flow_end"},
		{Flow: id(t, "C1"), Label: "a", LatencyUS: -1 << 40, Reason: "timeout"},
		{Flow: id(t, "C2"), Label: "web", Score: 1, Reason: "accepted", Services: "http,ssl,tls", Margin: 0.75},
	} {
		add(fmt.Sprintf("label %v %s %g %s %d %d %s %s %s %g", l.Flow, dash([]byte(l.Label)), l.Score, dash([]byte(l.Stage)), l.Packets,
			l.LatencyUS, dash([]byte(l.Model)), dash([]byte(l.Reason)), dash([]byte(l.Services)), l.Margin), func(e *wire.Encoder) error { return e.Label(&l) })
	}
	add("welcome 10 120 0", func(e *wire.Encoder) error { return e.Welcome(&wire.Welcome{Packets: 10, RawBytes: 120}) })
	add("welcome 1024 2048 2048", func(e *wire.Encoder) error {
		return e.Welcome(&wire.Welcome{Packets: 1024, RawBytes: 2048, PayloadBytes: 2048})
	})
	add("welcome 12 704 512 after_label", func(e *wire.Encoder) error {
		return e.Welcome(&wire.Welcome{Packets: 12, RawBytes: 704, PayloadBytes: 512, AfterLabel: true})
	})
	add("synced 42", func(e *wire.Encoder) error { return e.Synced(42) })
	add(fmt.Sprintf("error 2 %x", "version"), func(e *wire.Encoder) error { return e.Error(wire.CodeVersion, "version") })
	return messages, read
}

// grown are messages as a later version of the protocol might send them.
var grown = map[string]string{
	"92630a":                                           "other;end",         // an unknown type
	"94122a93a178c0cb3ff0000000000000c3":               "synced 42;end",     // fields after the last
	"93110182a161c0a77061636b65747305":                 "welcome 5 0 0;end", // an unknown key
	"93110181ab61667465725f6c6162656cc2":               "welcome 0 0 0;end",
	"93110180956301020391":                             "welcome 0 0 0;cut",
	"9910a143a161ca3f000000a00000a0a0":                 "label C 61 0.5 - 0 0 - - - 0;end", // of an earlier version
	"9a10a143a161ca3f000000a00000a0a0a178":             "label C 61 0.5 - 0 0 - - 78 0;end",
	"9c10a143a161ca3f000000a00000a0a0a178ca3e800000c0": "label C 61 0.5 - 0 0 - - 78 0.25;end",
}

// malformed are no messages: another type of value, elements or a field that are
// missing, a number that is none, and lengths beyond their limits.
var malformed = []string{
	"c0", "90", "91a0", "91dd", "9112", "921100", "9212a0", "92cb4028000000000000", "99104100", "931101820ac3", "93110181ab61667465725f6c6162656c01", "dc0041",
	"9910a143a161ca7fc00000a00000a0a0", "9910da0200" + strings.Repeat("43", 512),
}

// TestUnpack reads whole messages, every beginning of them, and grown ones.
func TestUnpack(t *testing.T) {
	var lines, want []string
	messages, read := answers(t)
	var all []byte
	for i, m := range messages {
		lines, want = append(lines, fmt.Sprintf("read %x", m)), append(want, read[i]+";end")
		for n := 1; n < len(m); n++ {
			lines, want = append(lines, fmt.Sprintf("read %x", m[:n])), append(want, "cut")
		}
		all = append(all, m...)
	}
	lines, want = append(lines, fmt.Sprintf("read %x", all)), append(want, strings.Join(read, ";")+";end")
	for bytes, what := range grown {
		lines, want = append(lines, "read "+bytes), append(want, what)
	}
	for _, bytes := range malformed {
		lines, want = append(lines, "read "+bytes), append(want, "bad")
	}
	for i, got := range dialogue(t, lines) {
		if got != want[i] {
			t.Errorf("%s\n got %s\nwant %s", lines[i], got, want[i])
		}
	}
}

// TestUnpackNoise gives bytes that nobody meant to send: what counts is that the
// program goes on, under the sanitizers.
func TestUnpackNoise(t *testing.T) {
	messages, _ := answers(t)
	noise := rand.New(rand.NewPCG(1, 2))
	var lines []string
	for range 20_000 {
		m := bytes.Clone(messages[noise.IntN(len(messages))])
		for range 1 + noise.IntN(4) {
			m[noise.IntN(len(m))] = byte(noise.Uint32())
		}
		lines = append(lines, fmt.Sprintf("read %x", m[:1+noise.IntN(len(m))]))
	}
	for depth := range 200 {
		lines = append(lines, "read 92"+"14"+strings.Repeat("91", depth)+"c0")
	}
	dialogue(t, lines)
}
