package remote

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/test/steady"
)

// server is an MLServer with one model.
type server struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// newServer makes a server of a LightGBM text that is not started yet.
func newServer(t *testing.T, model, version string) *server {
	t.Helper()
	needServer(t)
	s := &server{t: t, dir: t.TempDir(), port: freePort(t)}
	text, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	s.write("slow/model.bst", text)
	s.version(version)
	settings, _ := json.Marshal(map[string]any{
		"host": "127.0.0.1", "grpc_port": s.port, "http_port": freePort(t), "metrics_port": freePort(t), "parallel_workers": 0,
	})
	s.write("settings.json", settings)
	return s
}

// version has the server say another version of its model, when it is started next.
func (s *server) version(version string) {
	settings, _ := json.Marshal(map[string]any{
		"name": "slow", "implementation": "mlserver_lightgbm.LightGBMModel",
		"parameters": map[string]any{"uri": "./model.bst", "version": version},
	})
	s.write("slow/model-settings.json", settings)
}

func (s *server) write(name string, data []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) start() *server {
	s.t.Helper()
	cmd := exec.Command(mlserver, "start", s.dir)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return s
}

func (s *server) kill() { s.cmd.Process.Kill(); s.cmd.Wait() }

// remoteBundle is a copy of a bundle whose cascade for headers asks the server in place
// of its last model.
func remoteBundle(t *testing.T, from, last string) (dir, model string) {
	t.Helper()
	dir = t.TempDir()
	b, err := bundle.Open(from, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stages := b.Packet.Stages
	spec, _ := json.Marshal(map[string]any{
		"model": "slow", "version": "1", "input": "input", "output": "predict",
		"columns": stages[len(stages)-1].Model.Columns(), "classes": len(b.Packet.Labels),
	})
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join(from, last+bundle.GoldenSuffix))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"remote.json": spec, "remote.json" + bundle.GoldenSuffix: golden} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := os.ReadFile(filepath.Join(dir, bundle.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	text := string(manifest)
	// The cascade for headers comes first.
	was := fmt.Sprintf("model = %q\nkind = \"lightgbm\"\n", last)
	if !strings.Contains(text, was) || strings.Index(text, was) > strings.Index(text, "[[meta.stage]]") {
		t.Fatalf("%s has no such stage: %s", from, was)
	}
	text = strings.Replace(text, was, "model = \"remote.json\"\nkind = \"remote\"\n", 1)
	text = strings.Replace(text, "[files]\n", fmt.Sprintf("[files]\n\"remote.json\" = %q\n%q = %q\n",
		bundle.Digest(spec), "remote.json"+bundle.GoldenSuffix, bundle.Digest(golden)), 1)
	if err := os.WriteFile(filepath.Join(dir, bundle.ManifestFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(from, last)
}

// inUse waits until so many servers are in use, and says how long that took.
func inUse(t *testing.T, s *steady.Sidecar, n float64) time.Duration {
	t.Helper()
	began := time.Now()
	for s.Metric(`inference_servers{model="slow",state="ready"}`) != n {
		if time.Since(began) > 90*time.Second {
			t.Fatalf("not %v servers are in use:\n%s", n, s.Said())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// line is a decision of a label log.
type line struct {
	Flow          json.RawMessage
	Label, Reason string
	Stage, Sensor string
	TS            float64
}

// labels are the decisions of a label log by sensor, flow and start.
func labels(t *testing.T, path string) map[string]line {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]line{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("%s %s %f", l.Sensor, l.Flow, l.TS)] = l
	}
	return all
}

// await waits until the server answers on its port.
func (s *server) await() {
	s.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", s.address()); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(until) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("the server does not come:\n%s", log)
		}
	}
}
