package suricata

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
	"serveflow/test/engine"
)

// A costCase is what is measured, with each tap of the engine and without.
type costCase struct {
	capture string
	rules   string // "" for none
	threads int
}

// String is the name of the case's test, such as "mix/no_rules/1_threads".
func (c costCase) String() string {
	rules := "no_rules"
	if c.rules != "" {
		rules = "rules"
	}
	return fmt.Sprintf("%s/%s/%d_threads", strings.TrimSuffix(filepath.Base(c.capture), ".pcap"), rules, c.threads)
}

// A costTap is an engine with one of its taps, "none" of them included.
type costTap struct {
	suricata
	live    bool // as on an interface, though it reads a capture
	payload int  // bytes of a packet's payload that the sidecar asks for
}

func (c costTap) String() string {
	switch {
	case c.payload > 0:
		return fmt.Sprintf("%s (live, %d bytes of payload)", c.tap, c.payload)
	case c.live:
		return c.tap + " (live)"
	}
	return c.tap
}

// TestCost measures the processor time that the taps add to Suricata: "make
// cost-suricata". SERVEFLOW_COST is how often each is run; the runs of the taps
// and those without take turns, so that a machine that is busier for a while is
// so for all. Time is that of the Suricata process, user and system, from the
// moment at which it begins to read: loading rules is no part of it.
//
// With SERVEFLOW_COST_RULES=0 the runs with a ruleset, which take minutes each,
// are left out; another number is its size. With SERVEFLOW_COST_PLUGIN set to a number
// of packets, the plugin alone is measured, on a mix of so many.
func TestCost(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("SERVEFLOW_COST"))
	if err != nil || rounds < 1 {
		t.Skip("SERVEFLOW_COST is not set to a number of runs: use make cost-suricata")
	}
	number := 30_000
	if text := os.Getenv("SERVEFLOW_COST_RULES"); text != "" {
		if number, err = strconv.Atoi(text); err != nil {
			t.Fatalf("SERVEFLOW_COST_RULES: %v", err)
		}
	}
	seven, eight := suricata{version: "7", command: "suricata"}, suricata8(t)
	t.Setenv("SERVEFLOW_E2E", "1")
	dir := t.TempDir()
	alone, _ := strconv.Atoi(os.Getenv("SERVEFLOW_COST_PLUGIN"))
	mix, short, long := costTraffic(t, dir, cmp.Or(alone, 450_000))
	captures := []string{long, short, mix}
	if alone > 0 {
		captures = []string{mix}
	}
	cases := []costCase{}
	for threads := 1; threads <= 2; threads++ {
		for _, capture := range captures {
			cases = append(cases, costCase{capture, "", threads})
		}
	}
	if number > 0 {
		rules := costRules(t, dir, number)
		cases = append(cases, costCase{mix, rules, 1}, costCase{mix, rules, 2})
	}
	scripts := costScripts(t, dir)
	sockets := map[int]string{0: costPeer(t, 0), packet.HelloBytes: costPeer(t, packet.HelloBytes)}
	t.Logf("%d processors; %d runs each; 10 packets of a flow are wanted", runtime.NumCPU(), rounds)
	t.Logf("us a packet: least / median of the runs; added, and ratio: to the run without a tap, by the least and by the median; pairs: the ratio to the run without in the same round, the one in the middle and the middle half")
	for _, e := range []suricata{seven, eight} {
		t.Run("suricata"+e.version, func(t *testing.T) {
			e.need(t)
			taps := []costTap{{suricata: e.with("none")}, {suricata: e.with("output")}, {suricata: e.with("output"), live: true}}
			if e.version == "7" {
				taps = append(taps, costTap{suricata: e.with("rule")}, costTap{suricata: e.with("rule"), live: true})
			}
			if alone > 0 {
				taps = taps[:1]
			}
			plugin := costTap{suricata: e.with("plugin"), live: true}
			taps = append(taps, plugin)
			plugin.payload = packet.HelloBytes
			taps = append(taps, plugin)
			for _, c := range cases {
				t.Run(c.String(), func(t *testing.T) { c.measure(t, taps, scripts, sockets, rounds) })
			}
		})
	}
}

// costPeer takes the place of a sidecar: it asks for 10 packets of each flow, with so
// many bytes of payload, reads what comes and does nothing with it but label flows, at
// their third packet or their end, for a tap that wants labels. A sidecar's own work would
// slow down a Suricata that shares the caches of its processor.
func costPeer(t *testing.T, payload int) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "peer.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	encode := func(message func(*wire.Encoder) error) []byte {
		var b bytes.Buffer
		if err := message(wire.NewEncoder(&b)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	welcome := encode(func(e *wire.Encoder) error {
		return e.Welcome(&wire.Welcome{Packets: 10, RawBytes: 192 + payload, PayloadBytes: payload})
	})
	sync := encode(func(e *wire.Encoder) error { return e.Sync(1, true) })
	synced := encode(func(e *wire.Encoder) error { return e.Synced(1) })
	serve := func(conn net.Conn) {
		defer conn.Close()
		buffer := make([]byte, 1<<18)
		conn.Write(welcome)
		var m wire.Message
		d := wire.NewDecoder(conn)
		if d.Next(&m) != nil {
			return
		}
		if m.Hello.Reply {
			costLabels(conn, d)
			return
		}
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buffer[:n], sync) { // what a capture ends with
				conn.Write(synced)
			}
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return socket
}

// costLabels answers a tap that wants labels.
func costLabels(conn net.Conn, d *wire.Decoder) {
	out := bufio.NewWriter(conn)
	e := wire.NewEncoder(out)
	label := wire.Label{
		Label: "web", Score: 0.98640984, Stage: "small5", Packets: 3, LatencyUS: 15611,
		Model: "iot-device@2.0.0", Reason: "accepted", Services: "http,tls", Margin: 0.98356867,
	}
	var labelled [1 << 14]uint32 // hashes of those labelled last, to label no flow twice
	say := func(flow wire.FlowID, hash uint32) {
		labelled[hash%uint32(len(labelled))] = hash
		label.Flow = flow
		e.Label(&label)
	}
	for m := (wire.Message{}); d.Next(&m) == nil; {
		switch m.Kind {
		case wire.KindPacket:
			if m.OrigPkts+m.RespPkts == 3 {
				say(m.Flow, uint32(m.Flow.Hash()))
			}
		case wire.KindEnd:
			if hash := uint32(m.Flow.Hash()); labelled[hash%uint32(len(labelled))] != hash {
				say(m.Flow, hash)
			}
		case wire.KindSync:
			e.Synced(m.Token)
		}
		if d.Buffered() == 0 { // as a sidecar does: at once what one read brought
			out.Flush()
		}
	}
}

// costScripts are copies of the scripts: as they are, and made to believe that
// what they see is live.
func costScripts(t *testing.T, dir string) map[bool]string {
	t.Helper()
	scripts := map[bool]string{false: filepath.Join(engine.Root(t), "suricata-lua"), true: filepath.Join(dir, "live")}
	if err := os.CopyFS(scripts[true], os.DirFS(scripts[false])); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(scripts[true], "serveflow/tap.lua")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const asked = `capture = reads_capture("/proc/self/cmdline")`
	if bytes.Count(text, []byte(asked)) != 1 {
		t.Fatalf("%s has no line %q to change", path, asked)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(asked), []byte("capture = false"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	return scripts
}

// measure runs one case with all taps and prints a line for each.
func (c costCase) measure(t *testing.T, taps []costTap, scripts map[bool]string, sockets map[int]string, rounds int) {
	t.Helper()
	spent := make([][]float64, len(taps)) // us a packet
	var traffic costShare
	lost := map[string]bool{}
	for round := range rounds {
		for k := range taps { // each is first in turn
			i := (round + k) % len(taps)
			tap := taps[i]
			dir := t.TempDir()
			sensor := fmt.Sprintf("cost %s %d", filepath.Base(dir), round)
			cpu, said := c.run(t, tap, scripts[tap.live], dir, sockets[tap.payload], sensor)
			if round == 0 && i == 0 {
				traffic = shareWanted(t, filepath.Join(dir, "eve.json"), 10)
			}
			for line := range strings.Lines(said) {
				if _, text, ok := strings.Cut(line, "serveflow: "); ok && strings.Contains(text, "did not reach") {
					lost[tap.String()+": "+strings.TrimSpace(text)] = true
				}
			}
			spent[i] = append(spent[i], cpu*1e6/float64(traffic.packets))
			os.RemoveAll(dir)
		}
	}
	t.Logf("%s: %d packets, %d flows, %.1f %% of the packets are wanted",
		c, traffic.packets, traffic.flows, 100*traffic.wanted)
	for i, tap := range taps {
		line := fmt.Sprintf("  %-37s %5.2f /%5.2f us", tap, slices.Min(spent[i]), median(spent[i]))
		if i > 0 {
			line += fmt.Sprintf("   added %5.2f /%5.2f us   ratio %.2f /%.2f",
				slices.Min(spent[i])-slices.Min(spent[0]), median(spent[i])-median(spent[0]),
				slices.Min(spent[i])/slices.Min(spent[0]), median(spent[i])/median(spent[0]))
			pairs := make([]float64, rounds)
			for round := range pairs {
				pairs[round] = spent[i][round] / spent[0][round]
			}
			slices.Sort(pairs)
			line += fmt.Sprintf("   pairs %.3f, %.3f to %.3f", median(pairs), pairs[rounds/4], pairs[rounds-1-rounds/4])
		}
		t.Log(line)
	}
	for text := range lost {
		t.Logf("  %s", text)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[n/2] + sorted[(n-1)/2]) / 2
}

// run is one run of Suricata; cpu is in seconds.
func (c costCase) run(t *testing.T, tap costTap, scripts, dir, socket, sensor string) (cpu float64, said string) {
	t.Helper()
	args := []string{"-c", filepath.Join(engine.Root(t), "test/suricata/suricata.yaml"), "-r", c.capture, "-l", dir}
	args = append(args, tap.args...)
	var text []byte
	if c.rules != "" {
		var err error
		if text, err = os.ReadFile(c.rules); err != nil {
			t.Fatal(err)
		}
	}
	if tap.tap != "output" {
		args = append(args, "--set", "outputs.1.lua.enabled=no")
	} else {
		args = append(args, "--set", "outputs.1.lua.scripts-dir="+scripts)
	}
	if tap.tap == "plugin" {
		args = append(args, "--set", "plugins.0="+plugin(t), "--set", "serveflow.wait=no") // as live
	}
	if tap.tap == "rule" {
		args = append(args, "--set", "security.lua.allow-rules=yes")
		own, err := os.ReadFile(rules(t, scripts))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, own...)
	}
	if tap.version == "8" && c.rules != "" { // all runs but the first load them in a fifth of the time
		args = append(args, "--set", "detect.sgh-mpm-caching=yes",
			"--set", "detect.sgh-mpm-caching-path="+filepath.Dir(c.rules))
	}
	file := filepath.Join(dir, "all.rules")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "-S", file)
	if c.threads == 1 {
		args = append(args, "--runmode", "single")
	} else {
		args = append(args, "--runmode", "autofp", "--set",
			fmt.Sprintf("threading.detect-thread-ratio=%f", float64(c.threads)/float64(runtime.NumCPU())))
	}
	cmd := exec.Command(tap.command, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "SERVEFLOW_SOCKET="+socket, "SERVEFLOW_SENSOR="+sensor)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	loaded := -1.0
	var heard strings.Builder
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		heard.WriteString(line)
		if strings.Contains(line, "Engine started") {
			loaded = processTime(t, cmd.Process.Pid)
		}
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil || loaded < 0 || fault.MatchString(heard.String()) {
		t.Fatalf("suricata -r %s: %v\n%s", c.capture, err, heard.String())
	}
	if strings.Contains(heard.String(), "error parsing signature") {
		t.Fatalf("a generated rule is wrong:\n%.2000s", heard.String())
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return used.Seconds() - loaded, heard.String()
}

// processTime is the processor time that a running process has used, in seconds.
func processTime(t *testing.T, pid int) float64 {
	t.Helper()
	var at unix.Timespec
	// clock_getcpuclockid(3) for all threads of a process.
	const scheduled = 2
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano()).Seconds()
}

// A costShare says how many packets a capture has and how many of them, as a
// share, are among the first of their flow.
type costShare struct {
	packets, flows uint64
	wanted         float64
}

// shareWanted reads it from the flow records of an EVE log.
func shareWanted(t *testing.T, eve string, first uint64) (s costShare) {
	t.Helper()
	f, err := os.Open(eve)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wanted := uint64(0)
	for records := json.NewDecoder(f); ; {
		var r flow
		if err := records.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Type == "flow" {
			s.flows++
			s.packets += r.packets()
			wanted += min(r.packets(), first)
		}
	}
	if s.packets == 0 {
		t.Fatalf("%s has no flows", eve)
	}
	s.wanted = float64(wanted) / float64(s.packets)
	return s
}
