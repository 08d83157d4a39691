package suricata

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"serveflow/sidecar/tap/wire"
	"serveflow/test/engine"
)

// parts are those of the plugin that know nothing of Suricata.
var parts = []string{
	"suricata-lua/plugin/src/Frame.cc", "suricata-lua/plugin/src/Labels.cc", "suricata-lua/plugin/src/Object.cc",
	"suricata-lua/plugin/src/Texts.cc", "suricata-lua/plugin/src/Worker.cc", "suricata-lua/plugin/src/Workers.cc",
	"zeek-scripts/src/Pack.cc", "zeek-scripts/src/Unpack.cc", "zeek-scripts/src/Link.cc",
}

// compile makes a program out of a file in suricata-lua/plugin/test and these parts of the
// plugin.
func compile(t testing.TB, root, name string, of []string, flags ...string) (program string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: compiles the plugin")
	}
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("SKIPPED: no g++ here")
	}
	program = filepath.Join(t.TempDir(), name)
	plugin, shared := filepath.Join(root, "suricata-lua/plugin"), filepath.Join(root, "zeek-scripts/src")
	args := append([]string{"-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-pthread", "-I", filepath.Join(plugin, "src"), "-I", shared,
		"-o", program, filepath.Join(plugin, "test", name+".cc")}, flags...)
	for _, part := range of {
		args = append(args, filepath.Join(root, part))
	}
	if out, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// A labeller is a sidecar that labels every flow once: at its first packet, or when it
// ends.
type labeller struct {
	socket     string
	atFirst    bool
	afterLabel bool // asks for packets also after a label
	packets    atomic.Int64
	ends       atomic.Int64
	misplaced  atomic.Int64 // packets of a flow that came after its END
	stats      atomic.Int64
}

func (l *labeller) start(t *testing.T) {
	t.Helper()
	l.socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", l.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(conn)
		}
	}()
}

func (l *labeller) serve(conn net.Conn) {
	defer conn.Close()
	out := bufio.NewWriter(conn)
	e, d := wire.NewEncoder(out), wire.NewDecoder(conn)
	open, ended := map[wire.FlowID]bool{}, map[wire.FlowID]bool{}
	say := func(id wire.FlowID) {
		if open[id] {
			e.Label(&wire.Label{Flow: id, Label: "web", Score: 0.5, Stage: "s", Packets: 3, LatencyUS: int64(id.Uint()), Model: "m@1", Reason: "flow_end"})
		}
		open[id] = false
	}
	for m := (wire.Message{}); d.Next(&m) == nil; {
		switch m.Kind {
		case wire.KindHello:
			e.Welcome(&wire.Welcome{Packets: 10, RawBytes: 192, AfterLabel: l.afterLabel})
		case wire.KindPacket:
			l.packets.Add(1)
			if ended[m.Flow] {
				l.misplaced.Add(1)
			}
			if _, known := open[m.Flow]; known {
				continue
			}
			if open[m.Flow] = true; !l.atFirst {
				continue
			}
			say(m.Flow)
		case wire.KindEnd:
			l.ends.Add(1)
			ended[m.Flow] = true
			say(m.Flow)
		case wire.KindStats:
			l.stats.Add(1)
		case wire.KindSync:
			if m.Final {
				for id := range open {
					say(id)
				}
			}
			e.Synced(m.Token)
		}
		out.Flush()
	}
}

// sums are what the program many says.
type sums struct {
	sent, dropped, labels, refused, found, synced int
	early, late                                   int // sent before and after a pause at the end
}

// many runs the program against a sidecar.
func many(t *testing.T, program, socket, mode string, threads, flows, packets, pauseMS int) (n sums, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, socket, mode, fmt.Sprint(threads), fmt.Sprint(flows), fmt.Sprint(packets), fmt.Sprint(pauseMS))
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errors.String())
	}
	if _, err := fmt.Sscanf(string(out), "sent %d dropped %d labels %d refused %d found %d synced %d early %d late %d", &n.sent, &n.dropped, &n.labels, &n.refused, &n.found, &n.synced, &n.early, &n.late); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return n, string(out) + errors.String()
}

// TestPluginThreads: workers and the thread that tends them, under the thread sanitizer.
func TestPluginThreads(t *testing.T) {
	program := compile(t, engine.Root(t), "many", parts, "-fsanitize=thread")
	for _, mode := range []string{"capture", "live"} {
		t.Run(mode, func(t *testing.T) { sendMany(t, program, mode) })
	}
	t.Run("pace", func(t *testing.T) { sendLittle(t, program) })
	t.Run("flood", func(t *testing.T) { sendAgainstFlood(t, program) })
}

// sendMany: every message arrives and every flow has its label.
func sendMany(t *testing.T, program, mode string) {
	const threads, flows, packets = 8, 500, 3
	l := labeller{}
	l.start(t)
	n, said := many(t, program, l.socket, mode, threads, flows, packets, map[string]int{"live": 1000}[mode])
	if n.dropped != 0 || n.refused != 0 || n.labels != threads*flows || n.found < threads*flows || l.packets.Load() != threads*flows*packets {
		t.Errorf("%s%d packets arrived; wanted a label for each of %d flows of %d packets", said, l.packets.Load(), threads*flows, packets)
	}
	if n := l.stats.Load(); n != threads {
		t.Errorf("%d STATS over %d connections in less than a second of the packets' time", n, threads)
	}
	if ends, misplaced := l.ends.Load(), l.misplaced.Load(); ends != threads*flows || misplaced != 0 {
		t.Errorf("%d ENDs of %d flows, and %d packets after them", ends, threads*flows, misplaced)
	}
	if want := threads * flows / 100; mode == "capture" && n.synced != want {
		t.Errorf("%d of %d SYNCs answered", n.synced, want)
	}
}

// sendLittle: a live worker with little to send sends each packet at once; what is left of
// much is sent soon after the last packet.
func sendLittle(t *testing.T, program string) {
	for _, c := range []struct{ flows, packets, early int }{
		{flows: 1, packets: 8, early: 8},
		{flows: 50, packets: 100},
	} {
		l := labeller{}
		l.start(t)
		n, said := many(t, program, l.socket, "live", 1, c.flows, c.packets, 1000)
		if all := c.flows * (c.packets + 1); n.dropped != 0 || n.early < c.early || n.late < all {
			t.Errorf("%d flows of %d packets: %d messages were sent at once and %d after a second: %s", c.flows, c.packets, n.early, n.late, said)
		}
	}
}

// sendAgainstFlood: a sidecar that sends all the time holds nobody longer than until the time
// limit.
func sendAgainstFlood(t *testing.T, program string) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		go io.Copy(io.Discard, conn)
		var b bytes.Buffer
		e := wire.NewEncoder(&b)
		e.Welcome(&wire.Welcome{Packets: 10, RawBytes: 192})
		for id := range uint64(1 << 14) {
			e.Label(&wire.Label{Flow: wire.UintID(id), Label: "web", Score: 0.5, Stage: "s", Packets: 3, Model: "m@1", Reason: "accepted"})
		}
		for err == nil {
			_, err = conn.Write(b.Bytes())
		}
	}()
	begun := time.Now()
	n, said := many(t, program, socket, "live", 1, 100, 3, 0)
	if took := time.Since(begun); took > 6*time.Second || n.sent < 300 {
		t.Errorf("it took %v: %s", took, said)
	}
}

// TestPluginPlaces: which label gives way where flows share a place of the table.
func TestPluginPlaces(t *testing.T) {
	program := compile(t, engine.Root(t), "places", parts, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPluginPace: how often a worker takes turns.
func TestPluginPace(t *testing.T) {
	if out, err := exec.Command(compile(t, engine.Root(t), "pace", nil, "-O2")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPluginSlots: no label is read of which another thread has written half, and none is lost
// where threads change one place of the table, under the thread sanitizer.
func TestPluginSlots(t *testing.T) {
	if out, err := exec.Command(compile(t, engine.Root(t), "slots", parts, "-fsanitize=thread")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// FuzzPlugin gives the plugin's code what a sidecar or a network may send, under the
// address sanitizer.
func FuzzPlugin(f *testing.F) {
	// The processes that fuzz begin here, too, and take what the first one compiled.
	const compiled = "SERVEFLOW_HOSTILE"
	program := os.Getenv(compiled)
	if program == "" {
		program = compile(f, "../..", "hostile", parts, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
		f.Setenv(compiled, program)
	}
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		f.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { in.Close(); cmd.Wait() })
	answers := bufio.NewReader(out)

	var b strings.Builder
	e := wire.NewEncoder(&b)
	e.Welcome(&wire.Welcome{Packets: 10, RawBytes: 192})
	e.Label(&wire.Label{Flow: wire.UintID(1 << 50), Label: "web", Score: 0.75, Stage: "s", Packets: 3, LatencyUS: -5, Model: "m@1", Reason: "accepted"})
	e.Label(&wire.Label{Flow: wire.UintID(1 << 50), Label: `a"b\c`, Score: 1, Model: "größe", Services: "http,tls", Margin: 1e-30})
	e.Synced(7)
	e.Error(wire.CodeLimit, "too many")
	f.Add(false, []byte(b.String()))
	f.Add(true, append([]byte{0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, make([]byte, 20)...))
	f.Add(true, slices.Concat([]byte{0x60, 0, 0, 0, 0, 32, 44, 64}, make([]byte, 32), []byte{17, 0, 0, 1, 0, 0, 0, 1}, make([]byte, 24)))
	f.Fuzz(func(t *testing.T, packet bool, data []byte) {
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
		head = append(head, map[bool]byte{false: 's', true: 'p'}[packet])
		if _, err := in.Write(append(head, data...)); err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		for {
			line, err := answers.ReadString('\n')
			if err == io.EOF {
				cmd.Wait()
				t.Fatalf("it died:\n%s", said.String())
			} else if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(line, `"serveflow":`) {
				return
			}
			if !utf8.ValidString(line) || !json.Valid([]byte("{"+line+"}")) {
				t.Errorf("no JSON: %q", line)
			}
		}
	})
}

// TestSuricata8PluginPrefetches looks for the prefetches in the code that was built: a
// compiler may take them for nothing, which no result shows.
func TestSuricata8PluginPrefetches(t *testing.T) {
	suricata8(t).need(t) // whose make builds the plugin
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: looks for instructions of amd64")
	}
	so, err := elf.Open(plugin(t))
	if err != nil {
		t.Fatal(err)
	}
	defer so.Close()
	symbols, err := so.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	code := so.Section(".text")
	text, err := code.Data()
	if err != nil {
		t.Fatal(err)
	}
	prefetches := func(code []byte) bool {
		for i := range len(code) - 2 {
			if code[i] == 0x0f && code[i+1] == 0x18 && code[i+2] < 0xc0 && code[i+2]&0x38 <= 0x18 { // PREFETCHh m8
				return true
			}
		}
		return false
	}
	// Each is a function, those that it may have become part of, and those that it may call for it.
	for _, names := range [][]string{
		{"3Tap6PacketE", "SendPacket"}, {"3Tap3EndE", "EndFlow", "ExpectLabel"},
		{"6Coming3AddE", "OnLabel", "ExpectLabel"}, {"SendEnds", "4TurnE", "ExpectLabel"},
	} {
		found := slices.ContainsFunc(symbols, func(s elf.Symbol) bool {
			from := s.Value - code.Addr
			is := func(name string) bool { return strings.Contains(s.Name, name) }
			return elf.ST_TYPE(s.Info) == elf.STT_FUNC && slices.ContainsFunc(names, is) &&
				s.Value >= code.Addr && from+s.Size <= code.Size && prefetches(text[from:from+s.Size])
		})
		if !found {
			t.Errorf("%s prefetches nothing", names[0])
		}
	}
}
