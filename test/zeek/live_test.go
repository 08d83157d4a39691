package zeek

import (
	"bytes"
	"fmt"
	"maps"
	"math"
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

	"serveflow/test/engine"
)

// Zeek's buffer takes less than three seconds of the traffic, so that a Zeek that is
// made to wait loses packets.
const bufferMegabytes = 4

// TestLive: whatever happens to the sidecar, Zeek loses no packet and no row of
// conn.log, and labels come again when the sidecar does.
func TestLive(t *testing.T) {
	if os.Getenv("SERVEFLOW_LIVE") != "" {
		t.Setenv("SERVEFLOW_E2E", "1")
		need(t)
	}
	if !engine.OwnNetwork(t) {
		return
	}
	var results []*outcome
	try := func(m *engine.Fault, without bool) {
		r := live(t, m, without)
		if r.dropped > 0 {
			// A busy machine drops too: the same again.
			t.Logf("%s: %d packets dropped; once more", r.name, r.dropped)
			results = append(results, r)
			r = live(t, m, without)
		}
		results = append(results, r)
		r.check(t, m, results[0])
	}
	try(&engine.Fault{Name: "without the package"}, true)
	for i := range engine.Faults {
		try(&engine.Faults[i], false)
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tpackets\tdropped\texit\tflows\tlabelled before\tduring\tat the end\tback after\tmessages lost\tin labels.jsonl")
	for _, r := range results {
		fmt.Fprintln(w, r)
	}
	w.Flush()
	t.Logf("live zeek, %d packets/s for %d s:\n%s", engine.PacketsPerSecond, engine.RunSeconds, table.String())
}

// outcome is what came of a live run.
type outcome struct {
	name                string
	without             bool // the package
	sent, seen, dropped int
	err                 error // Zeek's exit
	said                string
	flows               map[string]int // rows of conn.log, by tuple and packets
	phases              engine.Phases
	lost                string // messages, by the plugin's count
	decided             string // flows in the sidecar's own log
}

var (
	received = regexp.MustCompile(`(\d+) packets received on interface \S+, (\d+) \(`)
	tallied  = regexp.MustCompile(`counters (\d+) (\d+)`)
	broken   = regexp.MustCompile(`(?i).*(fatal error|internal error|segmentation|expression error).*`)
)

// live runs Zeek on the link, with the package or without, while a fault happens.
func live(t *testing.T, m *engine.Fault, without bool) *outcome {
	t.Helper()
	r := &outcome{name: m.Name, without: without, lost: "-", decided: "-"}
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := engine.New(t, filepath.Join(engine.Root(t), "models/iot-device"), "", "")
	if !without && !m.Absent {
		s.Start(t)
	}

	// Flows end soon after their last packet, so that rows are written while the
	// fault lasts and not all at the end.
	script := fmt.Sprintf(`redef Pcap::bufsize = %d;
redef udp_inactivity_timeout = 2sec;
redef tcp_inactivity_timeout = 5sec;
redef LogAscii::use_json = T;
`, bufferMegabytes)
	args := []string{"-C", "-i", engine.Watched, "policy/protocols/conn/community-id-logging"}
	if !without {
		args = append(args, "serveflow", "ServeFlow::socket="+s.Socket)
		script += `event zeek_done()
	{
	local n = ServeFlow::counters();
	print fmt("counters %d %d", n$sent, n$dropped);
	}
`
	}
	cmd, said := startLive(t, dir, script, append([]string{"zeek"}, args...)...)

	played := m.Play(t, s)
	r.sent = played.Packets
	time.Sleep(2 * time.Second) // the last packets are read
	cmd.Process.Signal(syscall.SIGTERM)
	r.err = cmd.Wait()
	if !without {
		s.Stop(t)
		n := 0
		for _, d := range s.Decisions(t) {
			if d.Decided() {
				n++
			}
		}
		r.decided = strconv.Itoa(n)
	}
	r.read(t, dir, said, &played)
	return r
}

// startLive starts a Zeek with a script of the site's and returns when it listens.
// said is the file of what it says.
func startLive(t *testing.T, dir, script string, args ...string) (cmd *exec.Cmd, said string) {
	t.Helper()
	site := filepath.Join(dir, "site.zeek")
	if err := os.WriteFile(site, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	said = filepath.Join(dir, "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd = command(t, dir, args[0], append(args[1:], site)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	engine.AwaitText(t, said, "listening on")
	return cmd, said
}

// read reads what a run has written.
func (r *outcome) read(t *testing.T, dir, said string, played *engine.Played) {
	t.Helper()
	text, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	r.said = string(text)
	if m := received.FindStringSubmatch(r.said); m != nil {
		r.seen, _ = strconv.Atoi(m[1])
		r.dropped, _ = strconv.Atoi(m[2])
	}
	if m := tallied.FindStringSubmatch(r.said); m != nil {
		sent, _ := strconv.Atoi(m[1])
		dropped, _ := strconv.Atoi(m[2])
		r.lost = fmt.Sprintf("%d of %d", dropped, sent+dropped)
	}
	r.flows = map[string]int{}
	for _, f := range readLogs(t, dir, r.said).flows(t) {
		r.flows[fmt.Sprint(f.CommunityID, " ", f.OrigPackets, " ", f.RespPackets)]++
		if !r.without {
			labelled := f.Label != "" && f.Reason != "partial" && f.Reason != "unserved"
			r.phases.Add(played, time.UnixMicro(int64(math.Round(f.Start*1e6))), labelled)
		}
	}
}

func (r *outcome) rows() (n int) {
	for c := range maps.Values(r.flows) {
		n += c
	}
	return n
}

// String is the run's line of the table.
func (r *outcome) String() string {
	exit := "0"
	if r.err != nil {
		exit = r.err.Error()
	}
	columns := []string{r.name, strconv.Itoa(r.seen), strconv.Itoa(r.dropped), exit, strconv.Itoa(r.rows())}
	return strings.Join(append(append(columns, r.phases.Columns()...), r.lost, r.decided), "\t")
}

// check holds a run against one without the package.
func (r *outcome) check(t *testing.T, m *engine.Fault, control *outcome) {
	t.Helper()
	complain := func(format string, args ...any) {
		t.Errorf("%s: %s", r.name, fmt.Sprintf(format, args...))
	}
	if r.err != nil || r.dropped > 0 || r.seen != r.sent {
		complain("exit %v, %d of %d packets seen, %d dropped:\n%s", r.err, r.seen, r.sent, r.dropped, r.said)
	}
	if line := broken.FindString(r.said); line != "" {
		complain("%s", line)
	}
	if !maps.Equal(r.flows, control.flows) {
		complain("%d rows in conn.log, %d without the package", r.rows(), control.rows())
	}
	if r.without {
		return
	}
	r.phases.Check(m.Absent || m.Forgets || m.Stalls, complain)
}
