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
// up to: "make cost-suricata". In each round, one with the plugin and one without see the
// same packets at the same time, since runs one after the other differ by more than it
// adds. The sidecar serves iot-device.
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
				of := e.costLive(t, mix, s.Socket, i%2)
				without, with, pairs = append(without, of[0]), append(with, of[1]), append(pairs, of[1]/of[0])
			}
			s.Stop(t)
			slices.Sort(pairs)
			t.Logf("cost live suricata %s: %d pairs at %d packets/s; CPU seconds, least / median: without %.2f / %.2f, with %.2f / %.2f; pairs: the ratio in the middle %.3f, the middle half %.3f to %.3f",
				e.version, rounds, costRate, slices.Min(without), median(without), slices.Min(with), median(with),
				median(pairs), pairs[rounds/4], pairs[rounds-1-rounds/4])
		})
	}
}

// costLive returns the processor time of a Suricata without and one with the plugin, in
// seconds, for the packets of a capture alone: not for their start, nor for their end.
// First is which of them is started first.
func (e suricata) costLive(t *testing.T, capture, socket string, first int) (took [2]float64) {
	t.Helper()
	var programs [2]engine.Program
	for i := range programs {
		k := (first + i) % 2
		dir := t.TempDir()
		args := append([]string{"--af-packet=" + engine.Watched, "--set", fmt.Sprintf("af-packet.0.ring-size=%d", 4*ringPackets),
			"--set", fmt.Sprintf("af-packet.0.cluster-id=%d", k+1)}, shortTimeouts()...)
		programs[k] = e.with([]string{"none", "plugin"}[k]).start(t, dir, socket, "cost "+filepath.Base(dir), args...)
	}
	time.Sleep(time.Second)
	var begun [2]float64
	for k, p := range programs {
		begun[k] = processTime(t, p.Process.Pid)
	}
	sent := engine.Replay(t, costRate, capture)
	time.Sleep(6 * time.Second)
	for k, p := range programs {
		took[k] = processTime(t, p.Process.Pid) - begun[k]
	}
	for _, p := range programs {
		p.Process.Signal(syscall.SIGINT)
		err := p.Wait()
		text := p.Text(t)
		m := kernel.FindStringSubmatch(text)
		if err != nil || m == nil || m[1] != strconv.Itoa(sent) || m[2] != "0" || fault.MatchString(text) {
			t.Fatalf("suricata: %v, of %d packets:\n%s", err, sent, text)
		}
	}
	t.Logf("without %.2f, with %.2f s of CPU for %d packets", took[0], took[1], sent)
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
