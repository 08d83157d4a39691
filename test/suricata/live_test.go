package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
)

// Suricata's ring takes less than two seconds of the traffic, so that one that is
// made to wait loses packets.
const (
	ringPackets    = 8192
	metricsAddress = "127.0.0.1:9477"
)

func TestLive7(t *testing.T) {
	live(t, suricata{version: "7", command: "suricata", tap: "output"})
}

func TestLive8(t *testing.T) { live(t, suricata8(t)) }

func TestLive7Plugin(t *testing.T) {
	live(t, suricata{version: "7", command: "suricata", tap: "plugin"})
}

func TestLive8Plugin(t *testing.T) { live(t, suricata8(t).with("plugin")) }

func TestLive7PluginAutofp(t *testing.T) {
	live(t, suricata{version: "7", command: "suricata", tap: "plugin", runmode: "autofp"})
}

func TestLive8PluginAutofp(t *testing.T) {
	e := suricata8(t).with("plugin")
	e.runmode = "autofp"
	live(t, e)
}

// live: whatever happens to the sidecar, Suricata loses no packet and no record
// of its own, and labels come again when the sidecar does.
func live(t *testing.T, e suricata) {
	if !e.ownNetwork(t) {
		return
	}
	without := e
	without.tap = "none"
	var control result
	table := engine.NewLiveTable("eve.sock", "messages lost", "records", "missing", "not taken", "torn", "decided", "in eve.json")
	table.Add(t, func() (*engine.LiveRun, []string) {
		control = without.live(t, &engine.Fault{}, false)
		return &control.LiveRun, control.columns()
	})
	for _, records := range e.recordWays() {
		for i := range engine.Faults {
			var r result
			table.Add(t, func() (*engine.LiveRun, []string) {
				r = e.live(t, &engine.Faults[i], records)
				return &r.LiveRun, r.columns()
			})
			r.check(t, &engine.Faults[i], &control)
		}
	}
	t.Logf("live suricata %s, %d packets/s for %d s:\n%s", e.version, engine.PacketsPerSecond, engine.RunSeconds, table)
}

// ownNetwork says whether this is the run of a live test, with the engine there.
func (e suricata) ownNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SERVEFLOW_LIVE") != "" {
		e.found(t)
	}
	return engine.OwnNetwork(t)
}

// recordWays says with which runs records go to the sidecar, too: not with the plugin,
// which in 8 needs no eve.sock and changes nothing about it in 7.
func (e suricata) recordWays() []bool {
	if e.tap == "plugin" {
		return []bool{false}
	}
	return []bool{false, true}
}

// result is what came of a run. Its flows are the flow records in the plain log.
type result struct {
	engine.LiveRun
	records            bool           // go to the sidecar
	native             bool           // Suricata itself writes labels
	decided, withLabel int            // flows that a model was asked about, and records that have a label by the plugin
	types              map[string]int // records in the plain log
	lost               string         // messages the tap says it lost
	plain, missing     int            // records
	refused            int            // of them, by Suricata's count: the socket did not take them
	strange            []string       // lines in the sidecar's log that Suricata did not write
	torn               string         // as the sidecar counts
	labelled, flowsOut int            // flow records that the sidecar wrote
}

var (
	kernel = regexp.MustCompile(`packets: (\d+), drops: (\d+)`)
	slow   = regexp.MustCompile(`(\d+) events were dropped due to slow`)
	lost   = regexp.MustCompile(`(\d+ of \d+) messages did not reach the sidecar`)
)

// live runs Suricata on the link while a fault happens.
func (e suricata) live(t *testing.T, f *engine.Fault, records bool) result {
	t.Helper()
	r := result{
		LiveRun: engine.LiveRun{Name: f.Name, Tapped: e.tap != "none"},
		native:  e.tap == "plugin" && e.version == "8", records: records, lost: "0",
	}
	if !r.Tapped {
		r.Name = "without the script"
	}
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, output := filepath.Join(dir, "eve.sock"), filepath.Join(dir, "labelled.json")
	extra := fmt.Sprintf("[eve]\nlisten = %q\noutput = %q\n", socket, output)
	if e.tap == "plugin" {
		// As ever, silence decides before Suricata ends a flow: see the timeouts below.
		extra += "[flow]\nidle_timeout = \"1s\"\n"
	}
	s := engine.New(t, filepath.Join(engine.Root(t), "models/iot-device"), metricsAddress, extra)
	if r.Tapped && !f.Absent {
		s.Start(t)
	}

	// Flows end soon after their last packet, so that their records come while
	// the fault lasts and not all at the end.
	args := append([]string{"--af-packet=" + engine.Watched, "--set", fmt.Sprintf("af-packet.0.ring-size=%d", ringPackets)}, shortTimeouts()...)
	if records {
		args = append(args, "--set", "outputs.2.eve-log.enabled=yes", "--set", "outputs.2.eve-log.filename="+socket)
	}
	if e.runmode != "" {
		args = append(args, "--runmode", e.runmode)
	}
	program := e.start(t, dir, s.Socket, "suricata", args...)

	played := f.Play(t, s)
	r.Sent = played.Packets
	time.Sleep(3 * time.Second) // the last flows end
	program.Process.Signal(syscall.SIGINT)
	r.Err = program.Wait()
	if r.Tapped {
		time.Sleep(time.Second)
		r.torn = metric(t, `serveflow_eve_records_total{result="torn"}`)
		s.Stop(t)
	}

	r.Counts(program.Text(t), kernel)
	if m := slow.FindStringSubmatch(r.Said); m != nil {
		r.refused, _ = strconv.Atoi(m[1])
	}
	if m := lost.FindStringSubmatch(r.Said); m != nil {
		r.lost = m[1]
	}
	r.logs(t, s, filepath.Join(dir, "eve.json"), output, &played)
	return r
}

// start starts a live Suricata that writes into dir, and returns when it listens.
func (e suricata) start(t *testing.T, dir, socket, sensor string, args ...string) engine.Program {
	t.Helper()
	args = append(args, append([]string{"-c", configFile(t), "-l", dir}, e.taps(t)...)...)
	cmd := exec.Command(e.command, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "SERVEFLOW_SOCKET="+socket, "SERVEFLOW_SENSOR="+sensor)
	cmd.Env = append(cmd.Env, e.env...)
	return engine.StartProgram(t, cmd, dir, "Engine started")
}

// metric is the value of one of the sidecar's counters.
func metric(t *testing.T, name string) string {
	t.Helper()
	answer, err := http.Get("http://" + metricsAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no metric %s", name)
	return ""
}

// logs reads what a run has written.
func (r *result) logs(t *testing.T, s *engine.Sidecar, plain, labelled string, played *engine.Played) {
	t.Helper()
	eve, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	decided := map[string]bool{}
	if r.Tapped {
		for _, d := range s.Decisions(t) {
			decided[string(d.Flow)] = d.Decided()
		}
	}
	r.Flows, r.types = map[string]int{}, map[string]int{}
	for line := range bytes.Lines(eve) {
		var f flow
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		r.types[f.Type]++
		if f.Type != "flow" || f.Proto != "TCP" && f.Proto != "UDP" {
			continue
		}
		r.Flows[fmt.Sprint(f.CommunityID, " ", f.packets())]++
		if r.Tapped {
			r.Phases.Add(played, f.start(t), decided[f.name()])
			if decided[f.name()] {
				r.decided++
			}
			if added.Match(bytes.TrimSpace(line)) {
				r.withLabel++
			}
		}
	}
	if r.records {
		r.compare(t, eve, labelled)
	}
}

// compare holds the sidecar's log against the plain one.
func (r *result) compare(t *testing.T, eve []byte, output string) {
	t.Helper()
	want := map[string]int{} // the plain log's lines
	for line := range bytes.Lines(eve) {
		line = bytes.TrimSpace(line)
		want[comparable(t, line)]++
		r.plain++
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if !json.Valid(line) {
			r.strange = append(r.strange, string(line))
			continue
		}
		isFlow := bytes.Contains(line, []byte(`"event_type":"flow"`))
		if at := added.FindIndex(line); at != nil {
			line = append(line[:at[0]:at[0]], '}')
			if isFlow {
				r.labelled++
			}
		}
		if isFlow {
			r.flowsOut++
		}
		key := comparable(t, line)
		if want[key]--; want[key] < 0 {
			r.strange = append(r.strange, string(line))
		}
	}
	for missing := range maps.Values(want) {
		r.missing += max(missing, 0)
	}
}

// columns are the run's own part of a line of the table.
func (r *result) columns() []string {
	records, missing, refused, torn := "-", "-", "-", "-"
	if r.records {
		records, missing, refused, torn = strconv.Itoa(r.plain), strconv.Itoa(r.missing), strconv.Itoa(r.refused), r.torn
	}
	return []string{map[bool]string{true: "yes", false: "no"}[r.records], r.lost, records, missing, refused, torn,
		strconv.Itoa(r.decided), strconv.Itoa(r.withLabel)}
}

// check holds a run against one without the script.
func (r *result) check(t *testing.T, f *engine.Fault, control *result) {
	t.Helper()
	complain := func(format string, args ...any) {
		t.Errorf("%s, eve.sock %v: %s", r.Name, r.records, fmt.Sprintf(format, args...))
	}
	r.Check(&control.LiveRun, fault, f.Absent || f.Forgets, complain)
	if !maps.Equal(r.types, control.types) {
		complain("records in eve.json %v, without the script %v", r.types, control.types)
	}
	if r.native && !f.Injects() && float64(r.withLabel) < 0.98*float64(r.decided) {
		complain("%d flows decided, %d have their label in eve.json", r.decided, r.withLabel)
	}
	if !r.records {
		return
	}
	if len(r.strange) > 0 {
		complain("%d lines that Suricata did not write:\n%s", len(r.strange), strings.Join(r.strange[:min(len(r.strange), 5)], "\n"))
	}
	// What a killed sidecar held in memory is missing, too.
	if !f.Forgets && r.missing != r.refused {
		complain("%d records missing, Suricata says %d", r.missing, r.refused)
	}
	if !f.Injects() && float64(r.labelled) < 0.99*float64(r.flowsOut) {
		complain("%d of %d flow records with a label", r.labelled, r.flowsOut)
	}
}
