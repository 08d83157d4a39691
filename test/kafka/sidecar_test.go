package kafka

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sidecar is "serveflow run" with the toy bundle, in a directory of its own.
type sidecar struct {
	t       *testing.T
	dir     string
	cmd     *exec.Cmd
	mu      sync.Mutex
	log     strings.Builder
	metrics string
}

// newSidecar writes a configuration, with what stands in [kafka] beside the queue; none:
// there is no stream.
func newSidecar(t *testing.T, kafka string) *sidecar {
	t.Helper()
	dir, err := os.MkdirTemp("", "sf") // short, for the socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sidecar{t: t, dir: dir}
	bundle, err := filepath.Abs(root + "/test/bundle/toy")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("bundle = %q\nlisten.socket = %q\nlabels.path = %q\ntelemetry.listen = \"127.0.0.1:0\"\nlog.format = \"json\"\n",
		bundle, s.socket(), s.labels())
	if kafka != "" {
		text += fmt.Sprintf("[kafka]\nqueue = %q\n%s\n", s.queue(), kafka)
	}
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sidecar) socket() string { return filepath.Join(s.dir, "s") }
func (s *sidecar) labels() string { return filepath.Join(s.dir, "labels.jsonl") }
func (s *sidecar) config() string { return filepath.Join(s.dir, "serveflow.toml") }
func (s *sidecar) queue() string  { return filepath.Join(s.dir, "queue") }

// start starts the sidecar, also again, and waits until it is ready.
func (s *sidecar) start() *sidecar {
	s.t.Helper()
	cmd := exec.Command(serveflow, "run", "-c", s.config())
	out, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			var line struct{ Message, Metrics string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "ready" {
				ready <- line.Metrics
			}
		}
	}()
	address, ok := <-ready
	if !ok {
		s.t.Fatalf("the sidecar does not start:\n%s", s.said())
	}
	s.metrics = address
	return s
}

func (s *sidecar) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *sidecar) kill() { s.cmd.Process.Kill(); s.cmd.Wait() }

// stop stops the sidecar as systemd does.
func (s *sidecar) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the sidecar ends with %v:\n%s", err, s.said())
	}
}

// metric adds up the values of a metric whose line begins so.
func (s *sidecar) metric(name string) (sum float64) {
	s.t.Helper()
	response, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "serveflow_kafka_"+name) {
			fields := strings.Fields(line)
			v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				s.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// drained waits until nothing is left to send, and says how long that took.
func (s *sidecar) drained() time.Duration {
	s.t.Helper()
	began := time.Now()
	for s.metric("lag_records") > 0 {
		if time.Since(began) > time.Minute {
			s.t.Fatalf("%v records are left after %v:\n%s", s.metric("lag_records"), time.Since(began), s.said())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// decided are the flows of the label log.
func (s *sidecar) decided() map[uint64]bool {
	s.t.Helper()
	flows := map[uint64]bool{}
	files, _ := filepath.Glob(s.labels() + "*")
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			s.t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var line struct{ Flow uint64 }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				s.t.Fatalf("%s: %v", path, err)
			}
			flows[line.Flow] = true
		}
		f.Close()
	}
	return flows
}
