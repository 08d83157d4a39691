package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loggingTo runs a sidecar whose standard error is a small pipe, and returns it when it is
// ready, with the pipe's end that nobody reads from any more.
func (p *place) loggingTo() (*process, *os.File) {
	p.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { r.Close() })
	if _, err := unix.FcntlInt(r.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	w.Close()
	s := &process{t: p.t, cmd: cmd, log: &logLines{}, exited: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.exited)
	}()
	p.t.Cleanup(s.kill)
	lines := bufio.NewReaderSize(r, 4096)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			p.t.Fatal(err)
		}
		var ready map[string]any
		if json.Unmarshal(line, &ready) == nil && ready["message"] == "ready" {
			s.metrics = ready["metrics"].(string)
			return s, r
		}
	}
}

// insult has n taps break the protocol, each of which is worth two lines in the log.
func (p *place) insult(n int) {
	p.t.Helper()
	for range n {
		c := p.dial()
		c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		io.Copy(io.Discard, c.UnixConn)
		c.Close()
	}
}

// TestNobodyReadsTheOwnLog fills the pipe that standard error is: taps are served,
// metrics answer and a stop drains, and what is not in the log is counted.
func TestNobodyReadsTheOwnLog(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s, _ := p.loggingTo()
	p.insult(500)
	if got := p.wellBehaved("after"); len(got) != 8 {
		t.Errorf("%d flows are labelled, want 8", len(got))
	}
	if n := s.sample()[`drops_total{reason="own_log"}`]; n == 0 {
		t.Error("no line of the log is counted as dropped")
	}
	if took := s.stop(); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestOwnLogGoesAway has the reader of standard error end, as journald does when it
// is restarted: the sidecar goes on.
func TestOwnLogGoesAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s, r := p.loggingTo()
	r.Close()
	p.insult(10)
	if got := p.wellBehaved("after"); len(got) != 8 {
		t.Errorf("%d flows are labelled, want 8", len(got))
	}
	await(t, func() error {
		if s.sample()[`drops_total{reason="own_log"}`] == 0 {
			return errors.New("no line of the log is counted as dropped")
		}
		return nil
	})
	s.stop()
}

// TestRefusedWithNobodyToTell: a last word that nobody reads does not keep the
// program from ending, with its exit code.
func TestRefusedWithNobodyToTell(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(serveflow, "run", "--bundle", "nosuch")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		cmd.Process.Kill()
		t.Fatal("it does not end")
	}
	if code := cmd.ProcessState.ExitCode(); code != 78 {
		t.Errorf("exit code %d, want 78", code)
	}
}
