package zeek

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
)

// costRate is how many packets a second a live Zeek is given.
const costRate = 12_000

// TestCostLive measures what the package adds to a live Zeek, at a rate that it is
// up to: "make cost-zeek". Each run with the package has one without beside it, the
// first or the second in turn. Zeek has a processor; the sidecar and what sends the
// packets have the other.
func TestCostLive(t *testing.T) {
	rounds := costRounds(t)
	if !engine.OwnNetwork(t) {
		return
	}
	mix := filepath.Join(t.TempDir(), "mix.pcap")
	engine.Mix(t, mix, 150_000)
	s := engine.Start(t, filepath.Join(engine.Root(t), "models/iot-device"), "")
	bind(t, 1, s.Pid())
	bind(t, 1, os.Getpid())

	var without, with, added []float64
	for i := range rounds {
		var of [2]float64
		for j := range 2 {
			k := (i + j) % 2
			of[k] = costLive(t, mix, s.Socket, k == 1)
		}
		without, with = append(without, of[0]), append(with, of[1])
		added = append(added, of[1]/of[0]-1)
	}
	s.Stop(t)
	t.Logf("cost live zeek: %d pairs of runs at %d packets/s; CPU seconds, least / median: without %.2f / %.2f, with %.2f / %.2f",
		rounds, costRate, minimum(without), median(without), minimum(with), median(with))
	t.Logf("cost live zeek: added %.1f %% by the least, %.1f %% by the median pair", 100*(minimum(with)/minimum(without)-1), 100*median(added))
}

// costLive returns the processor time of a Zeek, in seconds, for the packets of a
// capture alone: not for its start, nor for its end.
func costLive(t *testing.T, capture, socket string, with bool) float64 {
	t.Helper()
	dir := t.TempDir()
	// Flows end soon after their last packet, so that rows are written meanwhile.
	script := "redef Pcap::bufsize = 64;\nredef udp_inactivity_timeout = 2sec;\nredef tcp_inactivity_timeout = 5sec;\n"
	args := []string{"taskset", "-c", "0", "zeek", "-C", "-i", engine.Watched}
	if with {
		args = append(args, "serveflow", "ServeFlow::socket="+socket)
	}
	program := startLive(t, dir, script, args...)
	time.Sleep(time.Second)
	begun := processorTime(t, program.Process.Pid)
	sent := engine.Replay(t, costRate, capture)
	time.Sleep(6 * time.Second)
	took := processorTime(t, program.Process.Pid) - begun
	program.Process.Signal(syscall.SIGTERM)
	err := program.Wait()
	text := program.Text(t)
	m := received.FindStringSubmatch(text)
	if err != nil || m == nil || m[1] != strconv.Itoa(sent) || m[2] != "0" {
		t.Fatalf("zeek: %v, of %d packets:\n%s", err, sent, text)
	}
	t.Logf("with the package %v: %.2f s of CPU for %d packets", with, took.Seconds(), sent)
	return took.Seconds()
}

// processorTime is that of a process's threads, of those that are left.
func processorTime(t *testing.T, pid int) (sum time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			t.Fatalf("%s: %q", path, text)
		}
		sum += time.Duration(ns)
	}
	return sum
}
