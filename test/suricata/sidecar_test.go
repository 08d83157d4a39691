package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// startSidecar starts a sidecar with a bundle. What extra holds stands at the
// end of its configuration.
func startSidecar(t *testing.T, bundle, extra string) *sidecar {
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
	config := filepath.Join(dir, "serveflow.toml")
	text := fmt.Sprintf("bundle = %q\n[listen]\nsocket = %q\n[labels]\npath = %q\n[telemetry]\nlisten = \"\"\n%s",
		bundle, s.Socket, s.labels(), extra)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(s.program, "run", "-c", config)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%v (make build makes it)", err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(s.Socket); err == nil {
			return s
		}
		if time.Now().After(deadline) {
			s.cmd.Process.Kill()
			s.cmd.Wait()
			t.Fatalf("the sidecar does not start:\n%s", s.log.String())
		}
	}
}

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
