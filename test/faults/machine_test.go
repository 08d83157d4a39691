package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestStopped stops the process as a debugger or a hypervisor does, longer than
// flows may be quiet, while taps go on: each flow is decided once, and the tap
// is not hung up on.
func TestStopped(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "[flow]\nidle_timeout = \"1s\"")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office", Reply: true})
	for id := range uint64(100) {
		c.do(c.packet(id, 1, 80))
	}
	s.awaitMetric("flows_total", 100)
	s.signal(syscall.SIGSTOP)
	for id := uint64(100); id < 200; id++ { // the socket takes these
		c.do(c.packet(id, 1, 53))
	}
	time.Sleep(3 * time.Second)
	s.signal(syscall.SIGCONT)
	c.do(c.packet(200, 1, 53))
	labels := c.sync(false)
	for len(labels) < 201 { // flows that had no more packets than one
		m := c.next()
		if m.Kind != wire.KindLabel {
			t.Fatalf("got %+v", m)
		}
		labels = append(labels, m.Label)
	}
	if got := s.get("/healthz"); got != "ok\n" {
		t.Errorf("/healthz says %q", got)
	}
	s.stop()
	if n := len(byFlow(t, readLabels(t, p.labels, true))); n != 201 {
		t.Errorf("%d flows in the label log", n)
	}
}

// TestManyConnections: a thousand taps at once, all of which are served.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	const taps, flows = 1000, 5
	var all sync.WaitGroup
	for i := range taps {
		all.Go(func() {
			c, err := p.tryDial()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			err = c.Hello(&wire.Hello{Sensor: fmt.Sprint("tap ", i), Reply: true})
			for id := range uint64(flows) {
				if err == nil {
					err = c.packet(id, 1, 53)
				}
			}
			if err == nil {
				err = c.Sync(1, false)
			}
			labels := 0
			for m := (wire.Message{}); err == nil && m.Kind != wire.KindSynced; {
				if err = c.in.Next(&m); m.Kind == wire.KindLabel {
					labels++
				}
			}
			if err != nil || labels != flows {
				t.Errorf("tap %d: %d labels, %v", i, labels, err)
			}
		})
	}
	all.Wait()
	await(t, func() error {
		if n := s.sample()["peers"]; n != 0 {
			return fmt.Errorf("%v peers are left", n)
		}
		return nil
	})
	t.Logf("%d MiB at most", s.memory()>>20)
	s.stop()
	if n := len(byFlow(t, readLabels(t, p.labels, true))); n != taps*flows {
		t.Errorf("%d flows in the label log, want %d", n, taps*flows)
	}
}

// TestSlowWriter: a tap that writes a byte now and then is heard in the end, and
// holds up nobody; one that is too slow with its HELLO is hung up on.
func TestSlowWriter(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "[listen]\nhello_timeout = \"1s\"")
	s := p.start()
	var text strings.Builder
	e := tap{Encoder: wire.NewEncoder(&text)}
	for _, err := range []error{e.packet(1, 1, 53), e.Sync(7, false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	slow := p.hello(wire.Hello{Sensor: "slow", Reply: true})
	hello := p.dial()
	if _, err := hello.Write([]byte{0x93}); err != nil { // the first byte of a HELLO
		t.Fatal(err)
	}
	pause := 20 * time.Millisecond
	if *full {
		pause = time.Second
	}
	hello.SetDeadline(time.Now().Add(10 * time.Minute))
	slow.SetDeadline(time.Now().Add(10 * time.Minute))
	fast := p.hello(wire.Hello{Sensor: "fast", Reply: true})
	fast.SetDeadline(time.Now().Add(10 * time.Minute))
	for i := range text.Len() {
		if _, err := slow.Write([]byte{text.String()[i]}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		fast.do(fast.packet(uint64(i), 1, 53))
		if labels := fast.sync(false); len(labels) != 1 {
			t.Fatalf("the fast tap got %+v", labels)
		}
	}
	if m := slow.next(); m.Kind != wire.KindLabel || m.Label.Label != "dns" {
		t.Errorf("the slow tap received %+v", m)
	}
	if _, code, _ := hello.rest(); code != wire.CodeTimeout {
		t.Errorf("a tap without HELLO received %d", code)
	}
	s.stop()
}

// TestNoFileDescriptors: past what the process may open, nobody new is let in,
// which is said, and those that are in are served; later there is room again.
func TestNoFileDescriptors(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.run(exec.Command("sh", "-c", `ulimit -n 40 && exec "$@"`, "sh", serveflow, "run", "-c", p.config))
	first := p.hello(wire.Hello{Sensor: "first", Reply: true})
	var crowd []*tap
	for range 60 {
		c, err := p.tryDial()
		if err != nil {
			t.Fatal(err) // the socket's backlog takes them
		}
		crowd = append(crowd, c)
	}
	s.awaitLog("cannot accept connections; retrying", "error", "too many open files")
	for id := range uint64(100) {
		first.do(first.packet(id, 1, 53))
	}
	if labels := first.sync(false); len(labels) != 100 {
		t.Errorf("%d labels of 100 while there are no file descriptors", len(labels))
	}
	for _, c := range crowd {
		c.Close()
	}
	late := p.hello(wire.Hello{Sensor: "late", Reply: true})
	late.do(late.packet(1, 1, 53))
	if labels := late.sync(false); len(labels) != 1 {
		t.Errorf("the late tap got %+v", labels)
	}
	p.awaitLabels(101)
	s.stop()
}

// TestClockGoesBack runs a sidecar whose wall clock jumps back by an hour, and
// then forward by two: time limits, latencies and the watchdog do not care. The
// program is built with a time.Now that does so: it asks the kernel directly, so
// that nothing that is preloaded could tell it another time, and the machine's
// own clock is not ours to move.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("it recompiles the standard library: make faults")
	}
	clocked := clockedServeflow(t)
	p := newPlace(t, "[flow]\nidle_timeout = \"500ms\"")
	s := p.run(exec.Command(clocked, "run", "-c", p.config))
	c := p.hello(wire.Hello{Sensor: "office", Reply: true})
	began := time.Now()
	id := uint64(0)
	for time.Since(began) < 9*time.Second { // it jumps after 3 and 6 s
		id += 2
		c.do(c.packet(id, 1, 53))
		c.do(c.packet(id+1, 1, 80)) // which goes quiet
		for range 2 {
			m := c.next()
			if m.Kind != wire.KindLabel {
				t.Fatalf("got %+v", m)
			}
			l := m.Label
			limit, reason := int64(300_000), "accepted"
			if l.Flow.Uint()%2 == 1 {
				limit, reason = 1_500_000, "timeout"
			}
			if l.Reason != reason || l.LatencyUS < 0 || l.LatencyUS > limit {
				t.Fatalf("%v after the start: %+v", time.Since(began), l)
			}
		}
		if got := s.get("/healthz"); got != "ok\n" {
			t.Errorf("/healthz says %q", got)
		}
	}
	first := logTime(t, s.awaitLog("ready"))
	s.stop()
	last := logTime(t, s.awaitLog("stopped"))
	if ahead := last.Sub(first); ahead < 50*time.Minute || ahead > 70*time.Minute {
		t.Errorf("by its own log the process ran for %v: its clock did not jump", ahead)
	}
	if n := len(byFlow(t, readLabels(t, p.labels, true))); n != int(id) {
		t.Errorf("%d flows in the label log, want %d", n, id)
	}
}

// clockedServeflow builds the program with a wall clock that is an hour slow
// from 3 s after its start on, and an hour ahead from 6 s on.
func clockedServeflow(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src/time/time.go")
	text := readText(t, source)
	from := strings.Index(text, "\nfunc Now() Time {")
	at := strings.Index(text[max(from, 0):], "mono -= ")
	if from < 0 || at < 0 {
		t.Fatalf("time.Now of %s is not as expected", runtime.Version())
	}
	at += from
	at += strings.IndexByte(text[at:], '\n') + 1
	text = text[:at] + `	if mono > 6e9 {
		sec += 3600
	} else if mono > 3e9 {
		sec -= 3600
	}
` + text[at:]
	dir := t.TempDir()
	changed, overlay, program := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "serveflow")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{changed: []byte(text), overlay: spec} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./cmd/serveflow")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
