package zeek

import (
	"bytes"
	"fmt"
	"maps"
	"os"
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

// What a live run is: traffic in which a fault begins at 4 s and is over 10 s
// later. Within 5 s more the plugin looks for its sidecar again. Zeek's buffer takes
// less than three seconds of the traffic, so that a Zeek that is made to wait loses
// packets.
const (
	packetsPerSecond = 5000
	runSeconds       = 24
	strikeAt         = 4 * time.Second
	mendAt           = 14 * time.Second
	bufferMegabytes  = 4
)

// mishap is what happens to a sidecar while Zeek runs.
type mishap struct {
	name         string
	without      bool // Zeek runs without the package
	absent       bool // the sidecar is not there when Zeek starts
	late         bool // flows that it has not decided when it strikes get no label in time
	strike, mend func(*engine.Sidecar, *testing.T)
}

var mishaps = []mishap{
	{name: "without the package", without: true},
	{name: "none"},
	{name: "absent at start", absent: true, mend: (*engine.Sidecar).Start},
	{name: "killed", late: true, strike: (*engine.Sidecar).Kill, mend: (*engine.Sidecar).Start},
	{name: "stopped for 10 s", late: true, strike: (*engine.Sidecar).Halt, mend: (*engine.Sidecar).Resume},
	{name: "restarted", strike: (*engine.Sidecar).Restart},
}

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
	for _, m := range mishaps {
		r := m.live(t)
		if r.dropped > 0 {
			// A busy machine drops too: the same again.
			t.Logf("%s: %d packets dropped; once more", m.name, r.dropped)
			results = append(results, r)
			r = m.live(t)
		}
		results = append(results, r)
		r.check(t, m, results[0])
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tpackets\tdropped\texit\tflows\tlabelled before\tduring\tat the end\tback after\tmessages lost\tin labels.jsonl")
	for _, r := range results {
		fmt.Fprintln(w, r)
	}
	w.Flush()
	t.Logf("live zeek, %d packets/s for %d s:\n%s", packetsPerSecond, runSeconds, table.String())
}

// outcome is what came of a live run.
type outcome struct {
	name                string
	sent, seen, dropped int
	err                 error // Zeek's exit
	said                string
	flows               map[string]int // rows of conn.log, by tuple and packets
	phases              [3]phase       // before the fault, during it, in the last 4 s
	back                time.Duration  // from the end of the fault to the first flow with a label
	lost                string         // messages, by the plugin's count
	decided             string         // flows in the sidecar's own log
}

type phase struct{ flows, labelled int }

func (p phase) String() string {
	if p.flows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(p.labelled)/float64(p.flows))
}

var (
	received = regexp.MustCompile(`(\d+) packets received on interface \S+, (\d+) \(`)
	tallied  = regexp.MustCompile(`counters (\d+) (\d+)`)
	broken   = regexp.MustCompile(`(?i).*(fatal error|internal error|segmentation|expression error).*`)
)

// live runs Zeek on the link while a fault happens.
func (m mishap) live(t *testing.T) *outcome {
	t.Helper()
	r := &outcome{name: m.name, lost: "-", decided: "-"}
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := engine.New(t, filepath.Join(engine.Root(t), "models/iot-device"), "")
	if !m.without && !m.absent {
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
	if !m.without {
		args = append(args, "serveflow", "ServeFlow::socket="+s.Socket)
		script += `event zeek_done()
	{
	local n = ServeFlow::counters();
	print fmt("counters %d %d", n$sent, n$dropped);
	}
`
	}
	site := filepath.Join(dir, "site.zeek")
	if err := os.WriteFile(site, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := command(t, dir, "zeek", append(args, site)...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	listens(t, said.Name())

	begun := time.Now()
	played := make(chan struct{})
	go func() {
		defer close(played)
		r.sent = engine.Traffic(t, packetsPerSecond, runSeconds)
	}()
	time.Sleep(time.Until(begun.Add(strikeAt)))
	struck := time.Now()
	if m.strike != nil {
		m.strike(s, t)
	}
	if m.mend != nil {
		time.Sleep(time.Until(begun.Add(mendAt)))
		m.mend(s, t)
	}
	mended := time.Now()
	<-played
	ended := time.Now()
	time.Sleep(2 * time.Second) // the last packets are read
	cmd.Process.Signal(syscall.SIGTERM)
	r.err = cmd.Wait()
	if !m.without {
		s.Stop(t)
		n := 0
		for _, d := range s.Decisions(t) {
			if d.Reason != "partial" && d.Reason != "unserved" {
				n++
			}
		}
		r.decided = strconv.Itoa(n)
	}
	r.read(t, dir, said.Name(), struck, mended, ended.Add(-4*time.Second))
	return r
}

// listens waits until Zeek does.
func listens(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		} else if bytes.Contains(text, []byte("listening on")) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("Zeek does not listen:\n%s", text)
		}
	}
}

// read reads what a run has written.
func (r *outcome) read(t *testing.T, dir, said string, struck, mended, last time.Time) {
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
	seconds := func(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }
	first := 0.0
	for _, f := range readLogs(t, dir, r.said).flows(t) {
		r.flows[fmt.Sprint(f.CommunityID, " ", f.OrigPackets, " ", f.RespPackets)]++
		labelled := f.Label != "" && f.Reason != "partial" && f.Reason != "unserved"
		switch {
		case f.Start < seconds(struck):
			r.phases[0].add(labelled)
		case f.Start < seconds(mended):
			r.phases[1].add(labelled)
		case f.Start > seconds(last):
			r.phases[2].add(labelled)
		}
		if f.Start >= seconds(mended) && labelled && (first == 0 || f.Start < first) {
			first = f.Start
		}
	}
	if first > 0 {
		r.back = time.Duration((first - seconds(mended)) * float64(time.Second))
	}
}

func (p *phase) add(labelled bool) {
	p.flows++
	if labelled {
		p.labelled++
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
	exit, back := "0", "-"
	if r.err != nil {
		exit = r.err.Error()
	}
	if r.back > 0 {
		back = r.back.Round(100 * time.Millisecond).String()
	}
	return strings.Join([]string{r.name, strconv.Itoa(r.seen), strconv.Itoa(r.dropped), exit, strconv.Itoa(r.rows()),
		r.phases[0].String(), r.phases[1].String(), r.phases[2].String(), back, r.lost, r.decided}, "\t")
}

// check holds a run against one without the package.
func (r *outcome) check(t *testing.T, m mishap, control *outcome) {
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
	if m.without {
		return
	}
	for i, p := range r.phases {
		// What is on its way to a sidecar that stops is lost.
		want := [...]float64{0.9, 0, 0.99}[i]
		if (m.absent || m.late) && i == 0 {
			want = 0
		}
		if i == 2 && p.flows == 0 || float64(p.labelled) < want*float64(p.flows) {
			complain("%d of %d flows labelled %s", p.labelled, p.flows, [...]string{"before", "during", "at the end"}[i])
		}
	}
}
