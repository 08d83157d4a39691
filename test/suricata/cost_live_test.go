package suricata

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
)

// costRate is how many packets a second a live Suricata is given.
const costRate = 12_000

// TestCostLive measures what the plugin adds to a live Suricata, at a rate that it is
// up to: "make cost-suricata". Each run with the plugin has one without beside it, the
// first or the second in turn. The sidecar serves iot-device.
func TestCostLive(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("SERVEFLOW_COST"))
	if err != nil || rounds < 1 {
		t.Skip("SERVEFLOW_COST is not set to a number of runs: use make cost-suricata")
	}
	if !engine.OwnNetwork(t) {
		return
	}
	mix := filepath.Join(t.TempDir(), "mix.pcap")
	engine.Mix(t, mix, 150_000)
	for _, e := range []suricata{{version: "7", command: "suricata"}, suricata8(t)} {
		t.Run("suricata"+e.version, func(t *testing.T) {
			e.found(t)
			s := engine.Start(t, filepath.Join(engine.Root(t), "models/iot-device"), "")
			var without, with, pairs []float64
			for i := range rounds {
				var of [2]float64
				for j := range 2 {
					k := (i + j) % 2
					of[k] = e.with([]string{"none", "plugin"}[k]).costLive(t, mix, s.Socket)
				}
				without, with, pairs = append(without, of[0]), append(with, of[1]), append(pairs, of[1]/of[0])
			}
			s.Stop(t)
			slices.Sort(pairs)
			t.Logf("cost live suricata %s: %d pairs of runs at %d packets/s; CPU seconds, least / median: without %.2f / %.2f, with %.2f / %.2f; pairs: the ratio in the middle %.3f, the middle half %.3f to %.3f",
				e.version, rounds, costRate, slices.Min(without), median(without), slices.Min(with), median(with),
				median(pairs), pairs[rounds/4], pairs[rounds-1-rounds/4])
		})
	}
}

// costLive returns the processor time of a Suricata, in seconds, for the packets of a
// capture alone: not for its start, nor for its end.
func (e suricata) costLive(t *testing.T, capture, socket string) float64 {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"--af-packet=" + engine.Watched, "--set", fmt.Sprintf("af-packet.0.ring-size=%d", 4*ringPackets)}, shortTimeouts()...)
	program := e.start(t, dir, socket, "cost "+filepath.Base(dir), args...)
	time.Sleep(time.Second)
	begun := processTime(t, program.Process.Pid)
	sent := engine.Replay(t, costRate, capture)
	time.Sleep(6 * time.Second)
	took := processTime(t, program.Process.Pid) - begun
	program.Process.Signal(syscall.SIGINT)
	err := program.Wait()
	text := program.Text(t)
	m := kernel.FindStringSubmatch(text)
	if err != nil || m == nil || m[1] != strconv.Itoa(sent) || m[2] != "0" || fault.MatchString(text) {
		t.Fatalf("suricata: %v, of %d packets:\n%s", err, sent, text)
	}
	t.Logf("%s: %.2f s of CPU for %d packets", e.tap, took, sent)
	return took
}

// shortTimeouts have flows end soon after their last packet, so that records are
// written meanwhile.
func shortTimeouts() (args []string) {
	for _, timeout := range []string{"tcp.new=5", "tcp.established=5", "tcp.closed=1", "udp.new=2", "udp.established=2", "default.new=2", "default.established=2"} {
		args = append(args, "--set", "flow-timeouts."+timeout)
	}
	return args
}
