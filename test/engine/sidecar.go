package engine

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

// Sidecar is "serveflow run" in a directory of its own.
type Sidecar struct {
	Socket  string
	program string
	dir     string
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// New makes a sidecar with a bundle that is not started yet. Its metrics are told
// at an address or, if that is empty, nowhere. What extra holds stands at the end
// of its configuration.
func New(t *testing.T, bundle, metrics, extra string) *Sidecar {
	t.Helper()
	// The name of a socket may have 96 bytes; that of t.TempDir is longer
	// than it looks.
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Sidecar{
		program: filepath.Join(Root(t), "bin/serveflow"),
		dir:     dir,
		Socket:  filepath.Join(dir, "serveflow.sock"),
	}
	text := fmt.Sprintf("bundle = %q\n[listen]\nsocket = %q\n[labels]\npath = %q\n[telemetry]\nlisten = %q\n%s",
		bundle, s.Socket, s.labels(), metrics, extra)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Start starts a sidecar of New that tells no metrics.
func Start(t *testing.T, bundle, extra string) *Sidecar {
	t.Helper()
	s := New(t, bundle, "", extra)
	s.Start(t)
	return s
}

// Start starts or restarts the sidecar, and waits until it listens.
func (s *Sidecar) Start(t *testing.T) {
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

// Pid is the sidecar's process.
func (s *Sidecar) Pid() int { return s.cmd.Process.Pid }

// Kill ends the sidecar at once, with all that it has in memory.
func (s *Sidecar) Kill(*testing.T) {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *Sidecar) halt(*testing.T)   { s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *Sidecar) resume(*testing.T) { s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *Sidecar) restart(t *testing.T) {
	s.Stop(t)
	s.Start(t)
}

func (s *Sidecar) config() string { return filepath.Join(s.dir, "serveflow.toml") }

func (s *Sidecar) labels() string { return filepath.Join(s.dir, "labels.jsonl") }

// Stop lets the sidecar drain.
func (s *Sidecar) Stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the sidecar: %v\n%s", err, s.log.String())
	}
}

// Decisions are the lines of the label log of a sidecar that has stopped.
func (s *Sidecar) Decisions(t *testing.T) []Decision {
	t.Helper()
	data, err := os.ReadFile(s.labels())
	if err != nil {
		t.Fatal(err)
	}
	return Lines[Decision](t, data)
}

// Decision is a flow that replay prints, or a line of the label log.
type Decision struct {
	Sensor      string          `json:"sensor"`
	Flow        json.RawMessage `json:"flow"` // a number or a string
	CommunityID string          `json:"community_id"`
	Start       float64         `json:"ts"`
	Total       uint64          `json:"flow_packets"` // replay only
	Label       string          `json:"label"`
	Score       float64         `json:"score"`
	Margin      float64         `json:"margin"`
	Packets     int             `json:"packets"`
	Reason      string          `json:"reason"`
}

// Decided says whether a model was asked about the flow from its first packet on.
func (d *Decision) Decided() bool { return d.Reason != "partial" && d.Reason != "unserved" }

// Replay plays a capture to the sidecar, with more flags of replay, and returns
// its flows.
func (s *Sidecar) Replay(t *testing.T, capture string, flags ...string) []Decision {
	t.Helper()
	cmd := exec.Command(s.program, append([]string{"replay", "--json", "--socket", s.Socket, capture}, flags...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("replay %s: %v\n%s", capture, err, said.String())
	}
	return Lines[Decision](t, out)
}

// Lines decodes JSON objects, one a line.
func Lines[T any](t *testing.T, data []byte) (all []T) {
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
