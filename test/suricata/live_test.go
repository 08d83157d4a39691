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
	"text/tabwriter"
	"time"

	shared "serveflow/test/engine"
)

// What a live run is: traffic in which a fault begins at 4 s and is over 10 s
// later. Within 5 s more the tap looks for its sidecar again. Suricata's ring takes less than two seconds of the traffic, so
// that an IDS that is made to wait loses packets.
const (
	packetsPerSecond = 5000
	runSeconds       = 24
	strikeAt         = 4 * time.Second
	mendAt           = 14 * time.Second
	ringPackets      = 8192
	metricsAddress   = "127.0.0.1:9477"
)

// mishap is what happens to a sidecar while Suricata runs.
type mishap struct {
	name         string
	absent       bool // the sidecar is not there when Suricata starts
	forgets      bool // what it held in memory is lost: undecided flows, records
	strike, mend func(*sidecar, *testing.T)
}

var mishaps = []mishap{
	{name: "none"},
	{name: "absent at start", absent: true, mend: (*sidecar).start},
	{name: "killed", forgets: true, strike: (*sidecar).kill, mend: (*sidecar).start},
	{name: "stopped for 10 s", strike: (*sidecar).halt, mend: (*sidecar).resume},
	{name: "restarted", strike: (*sidecar).restart},
}

func (s *sidecar) kill(*testing.T) {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *sidecar) halt(*testing.T)   { s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *sidecar) resume(*testing.T) { s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *sidecar) restart(t *testing.T) {
	s.stop(t)
	s.start(t)
}

func TestLive7(t *testing.T) {
	live(t, engine{version: "7", command: "suricata", tap: "output"})
}

func TestLive8(t *testing.T) { live(t, suricata8(t)) }

// live: whatever happens to the sidecar, Suricata loses no packet and no record
// of its own, and labels come again when the sidecar does.
func live(t *testing.T, e engine) {
	if os.Getenv("SERVEFLOW_LIVE") != "" {
		e.found(t)
	}
	if !shared.OwnNetwork(t) {
		return
	}
	without := e
	without.tap = "none"
	control := without.live(t, mishap{}, false)
	results := []result{control}
	for _, records := range []bool{false, true} {
		for _, f := range mishaps {
			r := e.live(t, f, records)
			if r.drops > 0 {
				// A busy machine drops too: the same again.
				t.Logf("%s: %d packets dropped; once more", f.name, r.drops)
				results = append(results, r)
				r = e.live(t, f, records)
			}
			results = append(results, r)
			r.check(t, f, &control)
		}
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\teve.sock\tpackets\tdropped\texit\tflows\tlabelled before\tduring\tat the end\tback after\tmessages lost\trecords\tmissing\tnot taken\ttorn")
	for _, r := range results {
		fmt.Fprintln(w, r.row())
	}
	w.Flush()
	t.Logf("live suricata %s, %d packets/s for %d s:\n%s", e.version, packetsPerSecond, runSeconds, table.String())
}

// result is what came of a run.
type result struct {
	name               string
	tapped, records    bool
	sent, seen, drops  int
	err                error // Suricata's exit
	said               string
	flows              map[string]int // flow records in the plain log, by tuple and packets
	types              map[string]int // records in the plain log
	phases             [3]phase       // before the fault, during it, in the last 4 s
	back               time.Duration  // from the end of the fault to the first flow with a label
	lost               string         // messages the tap says it lost
	plain, missing     int            // records
	refused            int            // of them, by Suricata's count: the socket did not take them
	strange            []string       // lines in the sidecar's log that Suricata did not write
	torn               string         // as the sidecar counts
	labelled, flowsOut int            // flow records that the sidecar wrote
}

type phase struct{ flows, labelled int }

func (p phase) String() string {
	if p.flows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(p.labelled)/float64(p.flows))
}

var (
	kernel = regexp.MustCompile(`packets: (\d+), drops: (\d+)`)
	slow   = regexp.MustCompile(`(\d+) events were dropped due to slow`)
	lost   = regexp.MustCompile(`(\d+ of \d+) messages did not reach the sidecar`)
)

// live runs Suricata on the link while a fault happens.
func (e engine) live(t *testing.T, f mishap, records bool) result {
	t.Helper()
	r := result{name: f.name, tapped: e.tap != "none", records: records, lost: "0"}
	if !r.tapped {
		r.name = "without the script"
	}
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, output := filepath.Join(dir, "eve.sock"), filepath.Join(dir, "labelled.json")
	s := newSidecar(t, filepath.Join(root(t), "models/iot-device"), metricsAddress,
		fmt.Sprintf("[eve]\nlisten = %q\noutput = %q\n", socket, output))
	if r.tapped && !f.absent {
		s.start(t)
	}

	// Flows end soon after their last packet, so that their records come while
	// the fault lasts and not all at the end.
	args := []string{"-c", filepath.Join(root(t), "test/suricata/suricata.yaml"), "-l", dir, "--af-packet=" + shared.Watched,
		"--set", fmt.Sprintf("af-packet.0.ring-size=%d", ringPackets)}
	for _, timeout := range []string{"tcp.new=5", "tcp.established=5", "tcp.closed=1", "udp.new=2", "udp.established=2", "default.new=2", "default.established=2"} {
		args = append(args, "--set", "flow-timeouts."+timeout)
	}
	if records {
		args = append(args, "--set", "outputs.2.eve-log.enabled=yes", "--set", "outputs.2.eve-log.filename="+socket)
	}
	args = append(args, e.taps(t)...)
	cmd := exec.Command(e.command, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "SERVEFLOW_SOCKET="+s.Socket, "SERVEFLOW_SENSOR=suricata")
	log, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	reads(t, log.Name(), "Engine started")

	begun := time.Now()
	played := make(chan struct{})
	go func() {
		defer close(played)
		r.sent = shared.Traffic(t, packetsPerSecond, runSeconds)
	}()
	time.Sleep(time.Until(begun.Add(strikeAt)))
	struck := time.Now()
	if f.strike != nil {
		f.strike(s, t)
	}
	if f.mend != nil {
		time.Sleep(time.Until(begun.Add(mendAt)))
		f.mend(s, t)
	}
	mended := time.Now()
	<-played
	time.Sleep(3 * time.Second) // the last flows end
	cmd.Process.Signal(syscall.SIGINT)
	r.err = cmd.Wait()
	if r.tapped {
		time.Sleep(time.Second)
		r.torn = metric(t, `serveflow_eve_records_total{result="torn"}`)
		s.stop(t)
	}

	text, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	r.said = string(text)
	if m := kernel.FindStringSubmatch(r.said); m != nil {
		r.seen, _ = strconv.Atoi(m[1])
		r.drops, _ = strconv.Atoi(m[2])
	}
	if m := slow.FindStringSubmatch(r.said); m != nil {
		r.refused, _ = strconv.Atoi(m[1])
	}
	if m := lost.FindStringSubmatch(r.said); m != nil {
		r.lost = m[1]
	}
	r.logs(t, s, filepath.Join(dir, "eve.json"), output, begun, struck, mended)
	return r
}

// reads waits until a file says something.
func reads(t *testing.T, path, what string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		} else if bytes.Contains(text, []byte(what)) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", what, text)
		}
	}
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
func (r *result) logs(t *testing.T, s *sidecar, plain, labelled string, begun, struck, mended time.Time) {
	t.Helper()
	eve, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	decided := map[uint64]bool{}
	if r.tapped {
		for _, d := range s.decisions(t)["suricata"] {
			decided[d.Flow] = d.Reason != "partial" && d.Reason != "unserved"
		}
	}
	r.flows, r.types = map[string]int{}, map[string]int{}
	first := int64(0)
	ended := begun.Add(runSeconds * time.Second).UnixMicro()
	for _, f := range lines[flow](t, eve) {
		r.types[f.Type]++
		if f.Type != "flow" || f.Proto != "TCP" && f.Proto != "UDP" {
			continue
		}
		r.flows[fmt.Sprint(f.CommunityID, " ", f.packets())]++
		start := f.start(t)
		switch {
		case start < struck.UnixMicro():
			r.phases[0].add(decided[f.ID])
		case start < mended.UnixMicro():
			r.phases[1].add(decided[f.ID])
		case start > ended-4_000_000:
			r.phases[2].add(decided[f.ID])
		}
		if start >= mended.UnixMicro() && decided[f.ID] && (first == 0 || start < first) {
			first = start
		}
	}
	if first > 0 {
		r.back = time.Duration(first-mended.UnixMicro()) * time.Microsecond
	}
	if r.records {
		r.compare(t, eve, labelled)
	}
}

func (p *phase) add(labelled bool) {
	p.flows++
	if labelled {
		p.labelled++
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

func (r *result) row() string {
	records, missing, refused, torn, back := "-", "-", "-", "-", "-"
	if r.records {
		records, missing, refused, torn = strconv.Itoa(r.plain), strconv.Itoa(r.missing), strconv.Itoa(r.refused), r.torn
	}
	if r.back > 0 {
		back = r.back.Round(100 * time.Millisecond).String()
	}
	exit := "0"
	if r.err != nil {
		exit = r.err.Error()
	}
	flows := 0
	for _, n := range r.flows {
		flows += n
	}
	return strings.Join([]string{r.name, map[bool]string{true: "yes", false: "no"}[r.records], strconv.Itoa(r.seen),
		strconv.Itoa(r.drops), exit, strconv.Itoa(flows), r.phases[0].String(), r.phases[1].String(), r.phases[2].String(),
		back, r.lost, records, missing, refused, torn}, "\t")
}

// check holds a run against one without the script.
func (r *result) check(t *testing.T, f mishap, control *result) {
	t.Helper()
	complain := func(format string, args ...any) {
		t.Errorf("%s, eve.sock %v: %s", r.name, r.records, fmt.Sprintf(format, args...))
	}
	if r.err != nil || r.drops > 0 || r.seen != r.sent {
		complain("exit %v, %d of %d packets seen, %d dropped:\n%s", r.err, r.seen, r.sent, r.drops, r.said)
	}
	if m := fault.FindString(r.said); m != "" {
		complain("%s", m)
	}
	if !maps.Equal(r.flows, control.flows) {
		complain("%d flows in eve.json, %d without the script", len(r.flows), len(control.flows))
	}
	if !maps.Equal(r.types, control.types) {
		complain("records in eve.json %v, without the script %v", r.types, control.types)
	}
	for i, p := range r.phases {
		// What is on its way to a sidecar that stops is lost.
		want := [...]float64{0.9, 0, 0.99}[i]
		if (f.absent || f.forgets) && i == 0 {
			want = 0
		}
		if i == 2 && p.flows == 0 || float64(p.labelled) < want*float64(p.flows) {
			complain("%d of %d flows labelled %s", p.labelled, p.flows, [...]string{"before", "during", "at the end"}[i])
		}
	}
	if !r.records {
		return
	}
	if len(r.strange) > 0 {
		complain("%d lines that Suricata did not write:\n%s", len(r.strange), strings.Join(r.strange[:min(len(r.strange), 5)], "\n"))
	}
	// What a killed sidecar held in memory is missing, too.
	if !f.forgets && r.missing != r.refused {
		complain("%d records missing, Suricata says %d", r.missing, r.refused)
	}
	if f.strike == nil && f.mend == nil && float64(r.labelled) < 0.99*float64(r.flowsOut) {
		complain("%d of %d flow records with a label", r.labelled, r.flowsOut)
	}
}
