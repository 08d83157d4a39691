package faults

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything is waited for that should happen at once.
const patience = 20 * time.Second

// place is a directory with the configuration, the socket and the label log of
// a sidecar, whichever process runs it.
type place struct {
	t      testing.TB
	socket string
	labels string
	config string
}

// newPlace writes a configuration: the toy bundle, and what more says.
func newPlace(t testing.TB, more string) *place {
	t.Helper()
	// The name of a socket may have 107 bytes; that of t.TempDir is longer
	// than it looks.
	dir, err := os.MkdirTemp("", "sf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bundle, err := filepath.Abs(toy)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t, filepath.Join(dir, "s"), filepath.Join(dir, "labels.jsonl"), filepath.Join(dir, "serveflow.toml")}
	text := fmt.Sprintf(`bundle = %q
listen.socket = %q
labels.path = %q
telemetry.listen = "127.0.0.1:0"
log.format = "json"
%s
`, bundle, p.socket, p.labels, more)
	if err := os.WriteFile(p.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// extend adds to the configuration.
func (p *place) extend(more string) {
	p.t.Helper()
	text := readText(p.t, p.config) + more
	if err := os.WriteFile(p.config, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// process is a running sidecar.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	log     *logLines
	metrics string // host:port
	exited  chan struct{}
	err     error // of cmd.Wait, when exited
}

// start runs the sidecar and waits until it is ready.
func (p *place) start() *process {
	p.t.Helper()
	return p.run(p.command())
}

// command runs the sidecar.
func (p *place) command() *exec.Cmd { return exec.Command(serveflow, "run", "-c", p.config) }

// run starts a command that runs the sidecar, and waits until that is ready.
func (p *place) run(cmd *exec.Cmd) *process { return p.runWith(cmd, func() {}) }

// runWith is run, and calls started as soon as the command has.
func (p *place) runWith(cmd *exec.Cmd, started func()) *process {
	p.t.Helper()
	s := &process{t: p.t, cmd: cmd, log: &logLines{}, exited: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	started()
	go func() {
		s.log.read(stderr)
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	p.t.Cleanup(func() {
		s.kill()
		if p.t.Failed() {
			p.t.Logf("log of process %d:\n%s", s.cmd.Process.Pid, s.log)
		}
	})
	s.metrics = s.awaitLog("ready")["metrics"].(string)
	return s
}

func (s *process) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
}

// kill ends the process at once and waits for its end.
func (s *process) kill() {
	s.signal(syscall.SIGKILL)
	<-s.exited
}

// stop tells the process to end and returns how long it took. Its exit code
// must be 0.
func (s *process) stop() time.Duration {
	s.t.Helper()
	begin := time.Now()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("the sidecar did not stop within %v", patience)
	}
	if s.err != nil {
		s.t.Errorf("the sidecar ended with %v", s.err)
	}
	return time.Since(begin)
}

// awaitLog waits for a line of the log and returns it; see logLines.find.
func (s *process) awaitLog(message string, fields ...string) map[string]any {
	s.t.Helper()
	var line map[string]any
	await(s.t, func() error {
		found := s.log.find(message, fields...)
		if len(found) == 0 {
			return fmt.Errorf("no line %q %q in the log", message, fields)
		}
		line = found[0]
		return nil
	})
	return line
}

// sample returns the metrics of the sidecar: name and labels, as /metrics
// writes them but without the prefix, to value.
func (s *process) sample() map[string]float64 {
	s.t.Helper()
	values := map[string]float64{}
	for name, v := range s.scrape() {
		if name, ours := strings.CutPrefix(name, "serveflow_"); ours {
			values[name] = v
		}
	}
	return values
}

// scrape returns all metrics, those of the Go runtime and the process too.
func (s *process) scrape() map[string]float64 {
	s.t.Helper()
	values := map[string]float64{}
	for line := range strings.Lines(s.get("/metrics")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		f, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			s.t.Fatalf("/metrics has %q: %v", line, err)
		}
		values[line[:i]] = f
	}
	return values
}

// awaitMetric waits until a metric has at least a value.
func (s *process) awaitMetric(name string, least float64) {
	s.t.Helper()
	await(s.t, func() error {
		if v, ok := s.sample()[name]; !ok || v < least {
			return fmt.Errorf("%s is %v, want %v", name, v, least)
		}
		return nil
	})
}

func (s *process) get(path string) string {
	s.t.Helper()
	answer, err := http.Get("http://" + s.metrics + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", path, answer.Status, err)
	}
	return string(body)
}

// memory is the most that the process ever held in memory, in bytes.
func (s *process) memory() int { return s.status("VmHWM") }

// rss is what it holds now.
func (s *process) rss() int { return s.status("VmRSS") }

func (s *process) status(field string) int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB int
		if n, _ := fmt.Sscanf(line, field+": %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	s.t.Fatalf("no %s in %s", field, status)
	return 0
}

// await polls a condition until it is met.
func await(t testing.TB, met func() error) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := met()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("after %v: %v", patience, err)
		}
	}
}
