package zeek

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
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
	var control outcome
	table := engine.NewLiveTable("messages lost", "in labels.jsonl")
	table.Add(t, func() (*engine.LiveRun, []string) {
		control = live(t, &engine.Fault{Name: "without the package"}, false)
		return &control.LiveRun, control.columns()
	})
	for i := range engine.Faults {
		f := &engine.Faults[i]
		var r outcome
		table.Add(t, func() (*engine.LiveRun, []string) {
			r = live(t, f, true)
			return &r.LiveRun, r.columns()
		})
		r.Check(&control.LiveRun, broken, f.Absent || f.Forgets || f.Stalls, func(format string, args ...any) {
			t.Errorf("%s: %s", r.Name, fmt.Sprintf(format, args...))
		})
	}
	t.Logf("live zeek, %d packets/s for %d s:\n%s", engine.PacketsPerSecond, engine.RunSeconds, table)
}

// outcome is what came of a live run. Its flows are the rows of conn.log.
type outcome struct {
	engine.LiveRun
	lost    string // messages, by the plugin's count
	decided string // flows in the sidecar's own log
}

func (r *outcome) columns() []string { return []string{r.lost, r.decided} }

var (
	received = regexp.MustCompile(`(\d+) packets received on interface \S+, (\d+) \(`)
	tallied  = regexp.MustCompile(`counters (\d+) (\d+)`)
	broken   = regexp.MustCompile(`(?i).*(fatal error|internal error|segmentation|expression error).*`)
)

// live runs Zeek on the link, with the package or without, while a fault happens.
func live(t *testing.T, f *engine.Fault, tapped bool) outcome {
	t.Helper()
	r := outcome{LiveRun: engine.LiveRun{Name: f.Name, Tapped: tapped}, lost: "-", decided: "-"}
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := engine.New(t, filepath.Join(engine.Root(t), "models/iot-device"), "", "")
	if tapped && !f.Absent {
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
	if tapped {
		args = append(args, "serveflow", "ServeFlow::socket="+s.Socket)
		script += `event zeek_done()
	{
	local n = ServeFlow::counters();
	print fmt("counters %d %d", n$sent, n$dropped);
	}
`
	}
	program := startLive(t, dir, script, append([]string{"zeek"}, args...)...)

	played := f.Play(t, s)
	r.Sent = played.Packets
	time.Sleep(2 * time.Second) // the last packets are read
	program.Process.Signal(syscall.SIGTERM)
	r.Err = program.Wait()
	if tapped {
		s.Stop(t)
		n := 0
		for _, d := range s.Decisions(t) {
			if d.Decided() {
				n++
			}
		}
		r.decided = strconv.Itoa(n)
	}
	r.read(t, dir, program.Text(t), &played)
	return r
}

// startLive starts a Zeek with a script of the site's and returns when it listens.
func startLive(t *testing.T, dir, script string, args ...string) engine.Program {
	t.Helper()
	site := filepath.Join(dir, "site.zeek")
	if err := os.WriteFile(site, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.StartProgram(t, command(t, dir, args[0], append(args[1:], site)...), dir, "listening on")
}

// read reads what a run has written and said.
func (r *outcome) read(t *testing.T, dir, said string, played *engine.Played) {
	t.Helper()
	r.Counts(said, received)
	if m := tallied.FindStringSubmatch(said); m != nil {
		sent, _ := strconv.Atoi(m[1])
		dropped, _ := strconv.Atoi(m[2])
		r.lost = fmt.Sprintf("%d of %d", dropped, sent+dropped)
	}
	r.Flows = map[string]int{}
	for _, f := range readLogs(t, dir, said).flows(t) {
		r.Flows[fmt.Sprint(f.CommunityID, " ", f.OrigPackets, " ", f.RespPackets)]++
		if r.Tapped {
			labelled := f.Label != "" && f.Reason != "partial" && f.Reason != "unserved"
			r.Phases.Add(played, f.start(), labelled)
		}
	}
}
