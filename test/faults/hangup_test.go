package faults

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// TestHangUp moves the label log away while decisions are written, as logrotate
// does, and tells the sidecar: every decision stands in one of the files, once.
func TestHangUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office"})
	const rotations, flows = 5, 400 // flows between two of them
	var paths []string
	for i := range uint64(rotations) {
		for id := i * flows; id < (i+1)*flows; id++ {
			c.do(c.packet(id, 1, 53))
		}
		p.awaitLabels(1) // the file is there again
		paths = append(paths, p.labels+".old"+string(rune('1'+i)))
		if err := os.Rename(p.labels, paths[i]); err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGHUP)
		await(t, func() error { // that it was opened again
			_, err := os.Stat(p.labels)
			return err
		})
	}
	s.awaitLog("SIGHUP: logs reopened")
	c.do(c.packet(rotations*flows, 1, 53))
	c.sync(false)
	s.stop()

	var all []decision
	for _, path := range append(paths, p.labels) {
		all = append(all, readLabels(t, path, true)...)
	}
	if n := len(byFlow(t, all)); n != rotations*flows+1 {
		t.Errorf("%d flows in %d files, want %d", n, rotations+1, rotations*flows+1)
	}
}

// TestHangUpFails: where the label log cannot be opened again, that is said and
// counted, and the file that is open stays in use.
func TestHangUpFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office"})
	c.do(c.packet(1, 1, 53))
	p.awaitLabels(1)

	moved := filepath.Join(filepath.Dir(p.labels), "moved")
	if err := os.Rename(p.labels, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.labels, 0o755); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	s.awaitLog("SIGHUP: reopening the logs failed", "level", "error", "error", p.labels)
	if got := s.sample()["log_errors_total"]; got != 1 {
		t.Errorf("%v errors of the label log, want 1", got)
	}
	c.do(c.packet(2, 1, 53))
	c.sync(false)
	s.stop()
	if n := len(readLabels(t, moved, true)); n != 2 {
		t.Errorf("%d decisions in the file that was open, want 2", n)
	}
}
