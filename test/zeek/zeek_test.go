package zeek

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/bundle"
	"serveflow/test/engine"
)

// need skips a test that nobody asked for or whose engine is not there.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("SERVEFLOW_E2E") == "" {
		t.Skip("SERVEFLOW_E2E is not set: use make e2e-zeek")
	}
	if _, err := exec.LookPath("zeek"); err != nil {
		t.Skip("SKIP e2e-zeek: no zeek on PATH")
	}
}

// row is a row of conn.log.
type row struct {
	UID         string  `json:"uid"`
	Start       float64 `json:"ts"`
	CommunityID string  `json:"community_id"`
	Proto       string  `json:"proto"`
	OrigHost    string  `json:"id.orig_h"`
	OrigPort    int     `json:"id.orig_p"`
	RespHost    string  `json:"id.resp_h"`
	RespPort    int     `json:"id.resp_p"`
	OrigPackets uint64  `json:"orig_pkts"`
	RespPackets uint64  `json:"resp_pkts"`
	History     string  `json:"history"`
	Label       string  `json:"ml_label"`
	Score       float64 `json:"ml_score"`
	Packets     int     `json:"ml_pkts"`
	Reason      string  `json:"ml_reason"`
	Service     string  `json:"service"`
	Agrees      *bool   `json:"ml_agrees"`
}

// logs are what one run of Zeek wrote.
type logs struct {
	conn, labels []byte // conn.log and serveflow.log
	said         string
}

// run reads a capture with the package as it lies in the repository.
func run(t *testing.T, c engine.Capture, socket string) logs {
	t.Helper()
	dir := t.TempDir()
	// Bad checksums are taken, as replay does.
	cmd := command(t, dir, "zeek", "-C", "-r", c.Path, "serveflow", "policy/protocols/conn/community-id-logging",
		"ServeFlow::socket="+socket, "LogAscii::use_json=T")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("zeek -r %s: %v\n%s", c.Path, err, out.String())
	}
	return readLogs(t, dir, out.String())
}

// command is a command in a directory, in which Zeek finds the package as it lies in
// the repository.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	scripts := filepath.Join(engine.Root(t), "zeek-scripts")
	zeekpath, err := exec.Command("zeek-config", "--zeekpath").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ZEEKPATH="+scripts+":"+strings.TrimSpace(string(zeekpath)),
		"ZEEK_PLUGIN_PATH="+filepath.Join(scripts, "build"), "ZEEK_SEED_FILE="+filepath.Join(scripts, "testing/random.seed"))
	return cmd
}

func readLogs(t *testing.T, dir, said string) logs {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return data
	}
	return logs{conn: read("conn.log"), labels: read("serveflow.log"), said: said}
}

// flows are the rows of TCP and UDP.
func (l logs) flows(t *testing.T) (all []row) {
	t.Helper()
	for _, r := range engine.Lines[row](t, l.conn) {
		if r.Proto == "tcp" || r.Proto == "udp" {
			all = append(all, r)
		}
	}
	return all
}

// TestZeek runs captures through Zeek, twice, and holds its rows against what
// replay says of the same captures.
func TestZeek(t *testing.T) {
	need(t)
	root := engine.Root(t)
	all := engine.Committed(t)
	all = append(all, engine.Labelled(t, "iot-device", 1, 1000)...)
	all = append(all, engine.Labelled(t, "app-category", 4, 100)...)
	for _, dir := range []string{"test/bundle/toy", "models/iot-device"} {
		t.Run(filepath.Base(dir), func(t *testing.T) { compare(t, filepath.Join(root, dir), all) })
	}
}

func compare(t *testing.T, dir string, all []engine.Capture) {
	loaded, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	s := engine.Start(t, dir, "")
	found, hard := newTally(), newTally()
	for _, c := range all {
		first, second := run(t, c, s.Socket), run(t, c, s.Socket)
		if !bytes.Equal(first.conn, second.conn) || !bytes.Equal(first.labels, second.labels) {
			t.Errorf("%s: two runs with one seed differ", c.Name)
		}
		tally := found
		if c.Hard {
			tally = hard
		}
		rows := first.flows(t)
		tally.add(c.Name, rows, s.Replay(t, c.Path))
		checkLabels(t, c.Name, first, rows)
		for _, r := range rows {
			if want := agrees(loaded.Manifest.Agrees[r.Label], r.Service); got(r.Agrees) != want {
				t.Errorf("%s: service %q and label %q: ml_agrees %s, want %s", c.Name, r.Service, r.Label, got(r.Agrees), want)
			}
		}
	}
	s.Stop(t)
	t.Logf("e2e zeek: %s", found)
	t.Logf("hand-made packets: %s", hard)
	found.check(t, 0.001)
	hard.check(t, 0.001)
}

// agrees is what ml_agrees has to say of services, separated by commas, and the names
// that go together with a label.
func agrees(names []string, services string) string {
	if len(names) == 0 || services == "" {
		return "unset"
	}
	return fmt.Sprint(slices.ContainsFunc(strings.Split(services, ","), func(s string) bool { return slices.Contains(names, s) }))
}

func got(agrees *bool) string {
	if agrees == nil {
		return "unset"
	}
	return fmt.Sprint(*agrees)
}

// checkLabels wants each label of conn.log in serveflow.log as well, once.
func checkLabels(t *testing.T, name string, l logs, rows []row) {
	t.Helper()
	seen := map[string]string{}
	for line := range bytes.Lines(l.labels) {
		var r struct{ UID, Label string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v in %s", name, err, line)
		}
		if _, twice := seen[r.UID]; twice {
			t.Errorf("%s: two labels of %s", name, r.UID)
		}
		seen[r.UID] = r.Label
	}
	for _, r := range rows {
		if seen[r.UID] != r.Label {
			t.Errorf("%s: %s is %q in conn.log and %q in serveflow.log", name, r.UID, r.Label, seen[r.UID])
		}
	}
}

// TestZeekAbsent: without a sidecar, conn.log has all its rows.
func TestZeekAbsent(t *testing.T) {
	need(t)
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "")
	defer s.Stop(t)
	for _, c := range engine.Committed(t) {
		with, without := run(t, c, s.Socket), run(t, c, filepath.Join(t.TempDir(), "nobody"))
		if got, want := len(without.flows(t)), len(with.flows(t)); got != want {
			t.Errorf("%s: %d rows without a sidecar, %d with one", c.Name, got, want)
		}
		if len(without.flows(t)) > 0 && !strings.Contains(without.said, "no sidecar at") {
			t.Errorf("%s: nothing was said of the missing sidecar:\n%s", c.Name, without.said)
		}
	}
}
