package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"serveflow/sidecar/tap/wire"
)

// onDisk moves the label log of a place to dir.
func (p *place) onDisk(dir string) {
	p.t.Helper()
	data, err := os.ReadFile(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	moved := filepath.Join(dir, "labels.jsonl")
	text := strings.Replace(string(data), p.labels, moved, 1)
	if err := os.WriteFile(p.config, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.labels = moved
}

// TestDiskFull fills the disk that the label log is on: decisions go on being
// told, what the log cannot take is held and then dropped and counted, and when
// there is room again it is written on, every line whole and no line twice.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("serveflow-test", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small disk takes root to mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	p := newPlace(t, "")
	p.onDisk(disk)
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office", Reply: true})
	id := uint64(0)
	some := func(flows int) {
		t.Helper()
		for range flows {
			id++
			c.do(c.packet(id, 1, 53))
		}
		if labels := c.sync(false); len(labels) != flows {
			t.Fatalf("%d labels of %d flows", len(labels), flows)
		}
	}
	some(100)
	p.awaitLabels(100)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	some(2000) // of about 250 bytes each: more than there is room for
	s.awaitLog("label log", "level", "error", "error", "no space left")
	for range 45 { // 22 MB: more than is held
		some(2000)
	}
	lost := s.sample()[`drops_total{reason="log_full"}`]
	if lost == 0 {
		t.Error("nothing was dropped by a log that cannot write")
	}
	// Room for all that is held, as when a disk is made larger.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("serveflow-test", disk, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	s.awaitLog("label log", "error", "writing works again")
	some(100)
	got := s.sample()
	s.stop()
	flows := byFlow(t, readLabels(t, p.labels, true))
	lost = got[`drops_total{reason="log_full"}`]
	if n := float64(len(flows)) + lost; n != float64(id) {
		t.Errorf("%d lines and %v dropped are not %d flows", len(flows), lost, id)
	}
	for last := id - 99; last <= id; last++ {
		if _, ok := flows[fmt.Sprint("office ", last)]; !ok {
			t.Fatalf("flow %d, decided after there was room, is not in the log", last)
		}
	}
	if got["log_errors_total"] == 0 {
		t.Error("no error was counted")
	}
}

// TestLogDirectoryGone removes the directory of the label log: it is created again,
// and what is decided from then on can be read there.
func TestLogDirectoryGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	p := newPlace(t, "")
	p.onDisk(dir)
	s := p.start()
	c := p.hello(wire.Hello{Sensor: "office"})
	c.do(c.packet(1, 1, 53))
	p.awaitLabels(1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c.do(c.packet(2, 1, 53))
	if all := p.awaitLabels(1); string(all[0].Flow) != "2" {
		t.Errorf("the new log begins with %+v", all[0])
	}
	// A directory that cannot be made: lines wait.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.do(c.packet(3, 1, 53))
	s.awaitMetric("log_errors_total", 1)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if all := p.awaitLabels(1); string(all[0].Flow) != "3" {
		t.Errorf("the new log begins with %+v", all[0])
	}
	s.stop()
}

// TestOneLogForTwo: a second sidecar does not write to the label log of the
// first.
func TestOneLogForTwo(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	second := newPlace(t, "")
	text := strings.Replace(readText(t, second.config), second.labels, p.labels, 1)
	if err := os.WriteFile(second.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := second.command().CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another process writes to it") {
		t.Errorf("the second sidecar ended with %v:\n%s", err, out)
	}
	c := p.hello(wire.Hello{Sensor: "office"})
	c.do(c.packet(1, 1, 53))
	p.awaitLabels(1)
	s.stop()
}
