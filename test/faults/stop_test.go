package faults

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestStop tells the sidecar to stop while taps have sent what it has not read
// yet: all of it is decided, sent and logged first.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, capture := range []bool{false, true} {
		p := newPlace(t, "")
		s := p.start()
		c := p.hello(wire.Hello{Sensor: "office", Reply: true, Capture: capture})
		const flows = 3000
		for id := range uint64(flows) {
			c.do(c.packet(id, 1, []uint16{53, 80}[id%2]))
		}
		var labels []wire.Label
		var code wire.ErrorCode
		var text string
		read := make(chan struct{})
		go func() {
			defer close(read)
			labels, code, text = c.rest()
		}()
		took := s.stop()
		<-read
		if code != wire.CodeShutdown {
			t.Errorf("capture %v: the tap received %d, %q", capture, code, text)
		}
		logged := byFlow(t, readLabels(t, p.labels, true))
		if len(labels) != flows || len(logged) != flows {
			t.Errorf("capture %v: %d labels came and %d were logged, want %d", capture, len(labels), len(logged), flows)
		}
		for _, l := range labels {
			// Those to port 80 waited for two packets more.
			label, reason := "dns", "accepted"
			if l.Flow.Uint()%2 == 1 {
				label, reason = "web", "evicted"
			}
			d := logged["office "+l.Flow.String()]
			if l.Label != label || l.Reason != reason || d.Label != label || d.Reason != reason {
				t.Fatalf("capture %v: the tap received %+v, the label log has %+v", capture, l, d)
			}
		}
		if took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		s.awaitLog("stopped")
	}
}

// TestStopWithTapsThatDoNotRead: who does not take labels cannot keep the
// sidecar from stopping.
func TestStopWithTapsThatDoNotRead(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	const flows = 20_000 // whose labels are more than a socket holds
	for _, h := range []wire.Hello{{Sensor: "live", Reply: true}, {Sensor: "capture", Reply: true, Capture: true}} {
		c := p.hello(h)
		for id := range uint64(flows) {
			c.do(c.packet(id, 1, 53))
		}
	}
	p.dial() // and one that never says HELLO
	s.awaitMetric(`events_total{kind="packet"}`, 2*flows)
	if took := s.stop(); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := len(byFlow(t, readLabels(t, p.labels, true))); n != 2*flows {
		t.Errorf("%d flows in the label log, want %d", n, 2*flows)
	}
}

// TestStopTwiceAtOnce: two signals within a moment, as from timeout(1) and tini -g, are
// one: what is not decided gets its best label before the end.
func TestStopTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office", Reply: true, Capture: true})
	const flows = 20_000
	for id := range uint64(flows) {
		c.do(c.packet(id, 1, 80)) // which waits for two more
	}
	go c.rest()
	s.awaitMetric(`events_total{kind="packet"}`, flows)
	for range 5 {
		s.signal(syscall.SIGTERM)
		time.Sleep(time.Millisecond)
	}
	s.stop()
	if n := len(byFlow(t, readLabels(t, p.labels, true))); n != flows {
		t.Errorf("%d flows are in the label log, want %d", n, flows)
	}
}

// TestHangUpWhileStarting: SIGHUP before the bundle is loaded does not end the sidecar,
// which reloads when it has started.
func TestHangUpWhileStarting(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	cmd := p.command()
	hung := make(chan error, 1)
	s := p.runWith(cmd, func() {
		go func() {
			// SIGPIPE is ignored from when the others are taken, and before the bundle is loaded.
			for until := time.Now().Add(patience); time.Now().Before(until); {
				if ignoresPipe(cmd.Process.Pid) {
					hung <- cmd.Process.Signal(syscall.SIGHUP)
					return
				}
			}
			hung <- errors.New("SIGPIPE is never ignored")
		}()
	})
	if err := <-hung; err != nil {
		t.Fatal(err)
	}
	s.awaitLog("SIGHUP: bundle unchanged")
	s.stop()
}

func ignoresPipe(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		var mask uint64
		if n, _ := fmt.Sscanf(line, "SigIgn: %x", &mask); n == 1 {
			return mask&(1<<(syscall.SIGPIPE-1)) != 0
		}
	}
	return false
}

// TestStopWhileStopping: a second signal ends the sidecar at once, with an
// error, when somebody is in a hurry.
func TestStopWhileStopping(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office", Reply: true, Capture: true})
	for id := range uint64(20_000) {
		c.do(c.packet(id, 1, 53))
	}
	s.awaitMetric(`decisions_total{reason="accepted",stage="fast"}`, 20_000)
	s.signal(syscall.SIGTERM)
	s.awaitLog("stopping: draining")
	time.Sleep(1100 * time.Millisecond) // sooner it would be taken for the same one
	begin := time.Now()
	s.signal(syscall.SIGTERM)
	<-s.exited
	if code := s.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
