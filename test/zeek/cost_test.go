package zeek

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"serveflow/test/engine"
)

// costWays are how a capture is read to see what the package costs. Without waiting,
// the plugin does what it does live; serveflow.log can be left out then.
var costWays = []struct {
	name    string
	payload bool     // whether the sidecar asks for payload
	args    []string // nil: without the package
}{
	{"without", false, nil},
	{"capture", false, []string{"serveflow"}},
	{"live", false, []string{"serveflow", "ServeFlow::wait=F"}},
	{"conn.log", false, []string{"serveflow", "ServeFlow::wait=F", "ServeFlow::log=F"}}, // alone
	{"capture, payload", true, []string{"serveflow"}},
	{"live, payload", true, []string{"serveflow", "ServeFlow::wait=F"}},
}

// TestCost measures the processor time that the package adds to Zeek: "make
// cost-zeek". SERVEFLOW_COST is how often each way is run; they take turns, so that
// a machine that is busier for a while is so for all. Time is that of the Zeek
// process, user and system, less what the same Zeek needs for a capture of no packet.
func TestCost(t *testing.T) {
	rounds := costRounds(t)
	dir := t.TempDir()
	mix, empty := filepath.Join(dir, "mix.pcap"), filepath.Join(dir, "empty.pcap")
	engine.Mix(t, mix, 300_000)
	engine.NewCapture(t, empty).Close()
	sidecars := map[bool]*engine.Sidecar{}
	for _, payload := range []bool{false, true} {
		s := engine.Start(t, filepath.Join(engine.Root(t), "models/channel"), fmt.Sprintf("[privacy]\npayload = %v\n", payload))
		bind(t, 1, s.Pid()) // Zeek has the other processor
		sidecars[payload] = s
	}
	start, whole := make([][]float64, len(costWays)), make([][]float64, len(costWays))
	for _, way := range costWays { // and everything is in memory
		_, l := costRun(t, mix, sidecars[way.payload].Socket, append([]string{"LogAscii::use_json=T"}, way.args...))
		t.Logf("%s: %s", way.name, share(t, l, 10))
	}
	for range rounds {
		for i, way := range costWays {
			for _, run := range []struct {
				capture string
				seconds *[]float64
			}{{empty, &start[i]}, {mix, &whole[i]}} {
				cpu, _ := costRun(t, run.capture, sidecars[way.payload].Socket, way.args)
				*run.seconds = append(*run.seconds, cpu)
			}
		}
	}
	for _, s := range sidecars {
		s.Stop(t)
	}
	t.Logf("cost zeek: %d runs each; CPU seconds, least / median; added: to the run without, by the least and by the median", rounds)
	for i, way := range costWays {
		net := func(i int, of func([]float64) float64) float64 { return of(whole[i]) - of(start[i]) }
		t.Logf("cost zeek: %-16s start %.2f / %.2f, then %.2f / %.2f, added %.1f %% / %.1f %%", way.name,
			minimum(start[i]), median(start[i]), net(i, minimum), net(i, median),
			100*(net(i, minimum)/net(0, minimum)-1), 100*(net(i, median)/net(0, median)-1))
	}
}

// costRounds is how often each way is to be run.
func costRounds(t *testing.T) int {
	t.Helper()
	rounds, err := strconv.Atoi(os.Getenv("SERVEFLOW_COST"))
	if err != nil || rounds < 1 {
		t.Skip("SERVEFLOW_COST is not set to a number of runs: use make cost-zeek")
	}
	t.Setenv("SERVEFLOW_E2E", "1")
	need(t)
	return rounds
}

// bind gives a process a processor.
func bind(t *testing.T, processor, pid int) {
	t.Helper()
	if out, err := exec.Command("taskset", "-a", "-c", "-p", strconv.Itoa(processor), strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Logf("process %d is not bound to processor %d: %v: %s", pid, processor, err, out)
	}
}

func minimum(v []float64) float64 { return slices.Min(v) }

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// costRun reads a capture and returns the seconds of processor time, and the logs if
// they are JSON.
func costRun(t *testing.T, capture, socket string, args []string) (float64, logs) {
	t.Helper()
	dir := t.TempDir()
	all := append([]string{"-c", "0", "zeek", "-C", "-r", capture}, args...)
	if slices.Contains(args, "serveflow") {
		all = append(all, "ServeFlow::socket="+socket)
	}
	cmd := command(t, dir, "taskset", all...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("zeek: %v\n%s", err, out.String())
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%v: %.2f s of %.2f s", args, cpu.Seconds(), time.Since(begun).Seconds())
	if !slices.Contains(args, "LogAscii::use_json=T") {
		return cpu.Seconds(), logs{}
	}
	return cpu.Seconds(), readLogs(t, dir, out.String())
}

// share says what a capture is made of, and how many of its packets are among the
// first of their flow.
func share(t *testing.T, l logs, first uint64) string {
	t.Helper()
	var rows, labelled, packets, wanted uint64
	for _, r := range l.flows(t) {
		n := r.OrigPackets + r.RespPackets
		rows, packets, wanted = rows+1, packets+n, wanted+min(n, first)
		if r.Label != "" {
			labelled++
		}
	}
	return fmt.Sprintf("%d packets of %d flows, %.1f %% of them among the first %d; %d flows labelled", packets, rows,
		100*float64(wanted)/float64(packets), first, labelled)
}
