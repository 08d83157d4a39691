package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// root is the repository, as an absolute path: engines run elsewhere.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sidecar is "serveflow run" in a directory of its own.
type sidecar struct {
	program string
	dir     string
	Socket  string
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// newSidecar makes the configuration of a sidecar with a bundle, whose metrics
// are told at an address or, if that is empty, nowhere. What extra
// holds stands at its end.
func newSidecar(t *testing.T, bundle, telemetry, extra string) *sidecar {
	t.Helper()
	// The name of a socket may have 96 bytes; that of t.TempDir is longer
	// than it looks.
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sidecar{
		program: filepath.Join(root(t), "bin/serveflow"),
		dir:     dir,
		Socket:  filepath.Join(dir, "serveflow.sock"),
	}
	text := fmt.Sprintf("bundle = %q\n[listen]\nsocket = %q\n[labels]\npath = %q\n[telemetry]\nlisten = %q\n%s",
		bundle, s.Socket, s.labels(), telemetry, extra)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// startSidecar starts a sidecar of newSidecar.
func startSidecar(t *testing.T, bundle, extra string) *sidecar {
	t.Helper()
	s := newSidecar(t, bundle, "", extra)
	s.start(t)
	return s
}

// start starts the sidecar, also anew, and waits until it listens.
func (s *sidecar) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(s.program, "run", "-c", s.config())
	cmd.Stderr = &s.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (make build makes it)", err)
	}
	s.cmd = cmd
	t.Cleanup(func() { cmd.Process.Kill() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", s.Socket); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("the sidecar does not start:\n%s", s.log.String())
		}
	}
}

func (s *sidecar) config() string { return filepath.Join(s.dir, "serveflow.toml") }

func (s *sidecar) labels() string { return filepath.Join(s.dir, "labels.jsonl") }

// stop lets the sidecar drain.
func (s *sidecar) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the sidecar: %v\n%s", err, s.log.String())
	}
}

// decision is a line of labels.jsonl, or a flow that replay prints.
type decision struct {
	Sensor      string  `json:"sensor"`
	Flow        uint64  `json:"flow"`
	CommunityID string  `json:"community_id"`
	Start       float64 `json:"ts"`
	Total       uint64  `json:"flow_packets"` // replay only
	Label       string  `json:"label"`
	Score       float64 `json:"score"`
	Packets     int     `json:"packets"`
	Reason      string  `json:"reason"`
}

// decisions reads the label log of a sidecar that has stopped, by sensor.
func (s *sidecar) decisions(t *testing.T) map[string][]decision {
	t.Helper()
	data, err := os.ReadFile(s.labels())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]decision{}
	for _, d := range lines[decision](t, data) {
		all[d.Sensor] = append(all[d.Sensor], d)
	}
	return all
}

// replay plays a capture to the sidecar and returns its flows.
func (s *sidecar) replay(t *testing.T, capture, events string) []decision {
	t.Helper()
	cmd := exec.Command(s.program, "replay", "--json", "--flows", "suricata", "--events", events, "--socket", s.Socket, capture)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("replay %s: %v\n%s", capture, err, said.String())
	}
	return lines[decision](t, out)
}

// lines decodes JSON objects, one a line.
func lines[T any](t *testing.T, data []byte) (all []T) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, v)
	}
	return all
}
