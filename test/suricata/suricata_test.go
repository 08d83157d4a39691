package suricata

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"serveflow/test/engine"
)

// suricata is a Suricata with a way for packets into the sidecar.
type suricata struct {
	version string
	command string
	tap     string // "plugin", "output" (serveflow.lua), "rule" (serveflow-rule.lua) or "none"
	events  string // what the tap sees, in the words of replay --events
	args    []string
	rules   string // a file of them, for a plugin
	built   string // the plugin, if another than that of make suricata-plugin
	env     []string
	config  string // if another than that of this folder
	runmode string // of a live one, if another than its own
	faults  bool   // may be said
}

func TestSuricata7(t *testing.T) {
	whole(t, suricata{version: "7", command: "suricata", tap: "output", events: "meta"})
}

func TestSuricata7Rule(t *testing.T) {
	whole(t, suricata{version: "7", command: "suricata", tap: "rule", events: "packet"})
}

func TestSuricata8(t *testing.T) {
	whole(t, suricata8(t))
}

func TestSuricata7Plugin(t *testing.T) {
	whole(t, suricata{version: "7", command: "suricata", tap: "plugin", events: "packet"})
}

func TestSuricata8Plugin(t *testing.T) {
	whole(t, suricata8(t).with("plugin"))
}

func TestSuricata7Absent(t *testing.T) {
	for _, tap := range []string{"plugin", "output", "rule"} {
		t.Run(tap, func(t *testing.T) { absent(t, suricata{version: "7", command: "suricata", tap: tap}) })
	}
}

func TestSuricata8Absent(t *testing.T) {
	for _, tap := range []string{"plugin", "output"} {
		t.Run(tap, func(t *testing.T) { absent(t, suricata8(t).with(tap)) })
	}
}

func suricata8(t *testing.T) suricata {
	build := filepath.Join(engine.Root(t), "build")
	return suricata{
		version: "8", command: filepath.Join(build, "suricata8.sh"), tap: "output", events: "packet",
		// Its own libraries want its own luasocket.
		args: []string{"--set", "outputs.1.lua.cpath=" + filepath.Join(build, "suricata8/usr/lib/x86_64-linux-gnu/lua/5.4/?.so")},
	}
}

func (e suricata) with(tap string) suricata {
	e.tap = tap
	return e
}

// need skips a test that nobody asked for, or whose engine is not there.
func (e suricata) need(t *testing.T) {
	t.Helper()
	if os.Getenv("SERVEFLOW_E2E") == "" {
		t.Skip("SERVEFLOW_E2E is not set: use make e2e-suricata7 or e2e-suricata8")
	}
	e.found(t)
}

// found skips a test whose engine is not there.
func (e suricata) found(t *testing.T) {
	t.Helper()
	out, err := exec.Command(e.command, "-V").Output()
	if err != nil || !bytes.Contains(out, []byte("version "+e.version+".")) {
		t.Skipf("SKIPPED: NO SURICATA %s HERE (%s): make engines installs it", e.version, e.command)
	}
}

// flow is a flow record of EVE.
type flow struct {
	Type        string `json:"event_type"`
	ID          uint64 `json:"flow_id"`
	Proto       string `json:"proto"`
	CommunityID string `json:"community_id"`
	Flow        struct {
		ToServer uint64  `json:"pkts_toserver"`
		ToClient uint64  `json:"pkts_toclient"`
		Start    string  `json:"start"`
		Age      float64 `json:"age"`
	} `json:"flow"`
}

// name is the id as the label log writes it.
func (f *flow) name() string { return strconv.FormatUint(f.ID, 10) }

func (f *flow) packets() uint64 { return f.Flow.ToServer + f.Flow.ToClient }

// start is when the flow began, to the microsecond.
func (f *flow) start(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000-0700", f.Flow.Start)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fault is what the scripts say when they are wrong.
var fault = regexp.MustCompile(`a fault in the script.*|failed to run script.*|no flow will be labelled.*`)

// run reads a capture with so many worker threads and returns the EVE log and
// what Suricata said.
func (e suricata) run(t *testing.T, c engine.Capture, threads int, socket, sensor string) (eve []byte, said string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-c", cmp.Or(e.config, configFile(t)), "-r", c.Path, "-l", dir}
	args = append(args, e.taps(t)...)
	if threads == 1 {
		args = append(args, "--runmode", "single")
	} else {
		// Worker threads are counted by the processor.
		args = append(args, "--runmode", "autofp", "--set",
			fmt.Sprintf("threading.detect-thread-ratio=%f", float64(threads)/float64(runtime.NumCPU())))
	}
	cmd := exec.Command(e.command, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "SERVEFLOW_SOCKET="+socket, "SERVEFLOW_SENSOR="+sensor)
	cmd.Env = append(cmd.Env, e.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("suricata -r %s: %v\n%s", c.Path, err, out.String())
	}
	if m := fault.FindString(out.String()); m != "" && !e.faults {
		t.Errorf("%s: %s", c.Name, m)
	}
	eve, err := os.ReadFile(filepath.Join(dir, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	return eve, out.String()
}

// flowRules are the names of replay for how a version makes flows.
var flowRules = map[string]string{"7": "suricata", "8": "suricata8"}

func configFile(t *testing.T) string {
	return filepath.Join(engine.Root(t), "test/suricata/suricata.yaml")
}

// taps are the arguments by which the engine has its tap.
func (e suricata) taps(t *testing.T) []string {
	t.Helper()
	scripts := filepath.Join(engine.Root(t), "suricata-lua")
	off := []string{"--set", "outputs.1.lua.enabled=no", "-S"}
	switch e.tap {
	case "plugin":
		return slices.Concat(e.args, off, []string{cmp.Or(e.rules, os.DevNull), "--set", "plugins.0=" + cmp.Or(e.built, plugin(t))})
	case "rule":
		return slices.Concat(e.args, off, []string{rules(t, scripts), "--set", "security.lua.allow-rules=yes"})
	case "output":
		return slices.Concat(e.args, []string{"--set", "outputs.1.lua.scripts-dir=" + scripts, "-S", os.DevNull})
	}
	return slices.Concat(e.args, off, []string{os.DevNull})
}

// plugin is the plugin that "make suricata-plugin" built.
func plugin(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(engine.Root(t), "suricata-lua/plugin/build/serveflow.so")
	if !exists(file) {
		t.Fatalf("no %s: make suricata-plugin builds it", file)
	}
	return file
}

// rules is serveflow.rules with the script where it is in the repository.
func rules(t *testing.T, scripts string) (file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(scripts, "serveflow.rules"))
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "serveflow.rules")
	text = bytes.ReplaceAll(text, []byte("lua:/etc/suricata/serveflow/"), []byte("lua:"+scripts+"/"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// flows are the flow records of TCP and UDP in an EVE log.
func flows(t *testing.T, eve []byte) (all []flow) {
	t.Helper()
	for _, f := range engine.Lines[flow](t, eve) {
		if f.Type == "flow" && (f.Proto == "TCP" || f.Proto == "UDP") {
			all = append(all, f)
		}
	}
	return all
}

// whole runs captures through the engine and holds its decisions against those
// of replay.
func whole(t *testing.T, e suricata) {
	e.need(t)
	bundles := []string{filepath.Join(engine.Root(t), "test/bundle/toy")}
	if iot := filepath.Join(engine.Root(t), "models/iot-device"); exists(filepath.Join(iot, "manifest.toml")) {
		bundles = append(bundles, iot)
	} else {
		t.Log("the bundle iot-device is not there: the toy bundle alone")
	}
	all := append(engine.Committed(t), engine.Labelled(t, "iot-device", 1, 1000)...)
	if e.tap == "plugin" { // one bundle and number of threads after the other, for time's sake
		for i, threads := range []int{1, 2, 4} {
			bundle := bundles[i%len(bundles)]
			t.Run(fmt.Sprintf("%s/%d_threads", filepath.Base(bundle), threads), func(t *testing.T) { e.compare(t, bundle, all, threads) })
		}
		return
	}
	for _, bundle := range bundles {
		for threads := 1; threads <= 2; threads++ {
			name := fmt.Sprintf("%s/%d_threads", filepath.Base(bundle), threads)
			t.Run(name, func(t *testing.T) { e.compare(t, bundle, all, threads) })
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (e suricata) compare(t *testing.T, bundle string, all []engine.Capture, threads int) {
	s := engine.Start(t, bundle, "")
	found, truth := map[string][]flow{}, map[string][]engine.Decision{}
	labelled := map[string][]byte{} // what the plugin has Suricata 8 write
	for _, c := range all {
		eve, _ := e.run(t, c, threads, s.Socket, "suricata "+c.Name)
		if e.tap == "plugin" && e.version == "8" {
			labelled[c.Name] = eve
		}
		found[c.Name] = flows(t, eve)
		truth[c.Name] = s.Replay(t, c.Path, "--flows", flowRules[e.version], "--events", e.events)
	}
	s.Stop(t)
	made := map[string][]engine.Decision{}
	for _, d := range s.Decisions(t) {
		made[d.Sensor] = append(made[d.Sensor], d)
	}

	real, hard := newTally(), newTally()
	for _, c := range all {
		tally := real
		if c.Hard {
			tally = hard
		}
		tally.add(t, c.Name, found[c.Name], made["suricata "+c.Name], truth[c.Name])
	}
	var held *holding
	if len(labelled) > 0 {
		held = newHolding(t)
	}
	for _, c := range all {
		if eve, ok := labelled[c.Name]; ok {
			e.holdRecords(t, held, c, threads, eve, made["suricata "+c.Name])
		}
	}
	t.Logf("e2e suricata %s (%s): %s", e.version, e.tap, real)
	t.Logf("hand-made packets: %s", hard)
	real.check(t, 0.001, 0.01)
	// What is a flow among these, engines have different views of.
	if hard.Labelled != hard.Flows || len(hard.twice) > 0 {
		hard.check(t, 0, 0)
	}
}

// absent: without a sidecar Suricata writes what it writes without the script.
func absent(t *testing.T, e suricata) {
	e.need(t)
	plain := e
	plain.tap = "none"
	for _, c := range engine.Committed(t) {
		for threads := 1; threads <= 2; threads++ {
			eve, said := e.run(t, c, threads, filepath.Join(t.TempDir(), "nobody"), "")
			without, _ := plain.run(t, c, threads, "", "")
			if got, want := starts(t, eve), starts(t, without); got != want {
				t.Errorf("%s, %d threads: flows\n%swithout the script\n%s", c.Name, threads, got, want)
			}
			if len(flows(t, eve)) > 0 && !strings.Contains(said, "no sidecar at") {
				t.Errorf("%s: nothing was said of the missing sidecar:\n%s", c.Name, said)
			}
		}
	}
}
