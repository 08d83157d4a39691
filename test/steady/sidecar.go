package steady

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

// Sidecar is "serveflow run" in a directory of its own.
type Sidecar struct {
	t       *testing.T
	program string
	dir     string
	cmd     *exec.Cmd
	mu      sync.Mutex
	log     strings.Builder
	metrics string
}

// New writes the configuration of a sidecar that is not started yet: the program, its
// bundle, and what else stands in the file, in which {queue} is a directory of its own.
func New(t *testing.T, program, bundle, more string) *Sidecar {
	t.Helper()
	dir, err := os.MkdirTemp("", "sf") // short, for the socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Sidecar{t: t, program: program, dir: dir}
	if bundle, err = filepath.Abs(bundle); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("bundle = %q\nlisten.socket = %q\nlabels.path = %q\ntelemetry.listen = \"127.0.0.1:0\"\nlog.format = \"json\"\n%s\n",
		bundle, s.Socket(), s.Labels(), strings.ReplaceAll(more, "{queue}", s.Queue()))
	if err := os.WriteFile(s.Config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Socket is the path of its socket.
func (s *Sidecar) Socket() string { return filepath.Join(s.dir, "s") }

// Labels is the path of its label log.
func (s *Sidecar) Labels() string { return filepath.Join(s.dir, "labels.jsonl") }

// Config is the path of its configuration.
func (s *Sidecar) Config() string { return filepath.Join(s.dir, "serveflow.toml") }

// Queue is the path of its queue for Kafka.
func (s *Sidecar) Queue() string { return filepath.Join(s.dir, "queue") }

// Start starts the sidecar, also again, and waits until it is ready.
func (s *Sidecar) Start() *Sidecar {
	s.t.Helper()
	cmd := exec.Command(s.program, "run", "-c", s.Config())
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
		s.t.Fatalf("the sidecar does not start:\n%s", s.Said())
	}
	s.metrics = address
	return s
}

// Said is what its log says so far.
func (s *Sidecar) Said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Kill kills it.
func (s *Sidecar) Kill() { s.cmd.Process.Kill(); s.cmd.Wait() }

// Stop stops the sidecar as systemd does.
func (s *Sidecar) Stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the sidecar ends with %v:\n%s", err, s.Said())
	}
}

// Metric adds up the values of metrics whose lines begin so, after "serveflow_".
func (s *Sidecar) Metric(name string) (sum float64) {
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
		if strings.HasPrefix(line, "serveflow_"+name) {
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

// Drained waits until nothing is left to send, and says how long that took.
func (s *Sidecar) Drained() time.Duration {
	s.t.Helper()
	began := time.Now()
	for s.Metric("kafka_lag_records") > 0 {
		if time.Since(began) > time.Minute {
			s.t.Fatalf("%v records are left after %v:\n%s", s.Metric("kafka_lag_records"), time.Since(began), s.Said())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// Decided are the flows of the label log.
func (s *Sidecar) Decided() map[uint64]bool {
	s.t.Helper()
	flows := map[uint64]bool{}
	files, _ := filepath.Glob(s.Labels() + "*")
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
