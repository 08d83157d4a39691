package remote

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/test/steady"
)

const toy = root + "/test/bundle/toy"

// The channel bundle on captures of the lab: what MLServer says of its large model is what
// the sidecar says itself, flow by flow.
func TestAgreement(t *testing.T) {
	needServer(t)
	channel := root + "/models/channel"
	dir, model := remoteBundle(t, channel, "large12.txt")
	server := newServer(t, model, "1").start()
	captures, err := filepath.Glob(root + "/test/captures/lab/pcap/*.pcap.zst")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var told [2]map[string]line
	for i, b := range []string{channel, dir} {
		more := ""
		if i == 1 {
			more = fmt.Sprintf("[inference]\nendpoints = [%q]", server.address())
		}
		s := steady.New(t, serveflow, b, more).Start()
		if i == 1 {
			t.Logf("in use after %v", inUse(t, s, 1).Round(100*time.Millisecond))
			if out, err := exec.Command(serveflow, "check", "-c", s.Config()).CombinedOutput(); err != nil || !strings.Contains(string(out), "model slow: servers 1, in use 1") {
				t.Errorf("check: %v: %s", err, out)
			}
		}
		began := time.Now()
		if out, err := exec.Command(serveflow, append([]string{"replay", "--socket", s.Socket()}, captures...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		took := time.Since(began)
		if i == 1 {
			t.Logf("requests %v, rows %v, failed %v, in %v", s.Metric("inference_requests_total"), s.Metric("inference_rows_total"),
				s.Metric("inference_requests_total")-s.Metric(`inference_requests_total{model="slow",result="ok"}`), took.Round(100*time.Millisecond))
		}
		s.Stop()
		told[i] = labels(t, s.Labels())
	}
	agreed, asked := 0, 0
	for flow, local := range told[0] {
		remote, ok := told[1][flow]
		if !ok || remote.Label != local.Label || remote.Stage != local.Stage || remote.Reason != local.Reason {
			t.Errorf("%s: %+v here, %+v there", flow, local, remote)
			continue
		}
		agreed++
		if local.Stage == "large12" {
			asked++
		}
	}
	t.Logf("%d of %d flows agree, %d of them decided by the server", agreed, len(told[0]), asked)
	if len(told[0]) != len(told[1]) || asked < 100 {
		t.Errorf("%d flows here, %d there", len(told[0]), len(told[1]))
	}
}

// deadline is the flow.deadline of the live tests.
const deadline = 500 * time.Millisecond

// harmed is a sidecar with the toy bundle under a steady load, half of whose flows need
// the server.
func harmed(t *testing.T, servers ...*server) (*steady.Sidecar, *steady.Tap) {
	t.Helper()
	dir, _ := remoteBundle(t, toy, "slow.txt")
	list := ""
	for _, one := range servers {
		list += fmt.Sprintf("%q,", one.address())
	}
	s := steady.New(t, serveflow, dir, fmt.Sprintf("[flow]\ndeadline = \"%v\"\n[inference]\nendpoints = [%s]", deadline, list)).Start()
	return s, s.Run("live", 200)
}

// look says what became of the flows since the last look.
func look(t *testing.T, p *steady.Tap, what string) (reasons map[string]int, most time.Duration) {
	t.Helper()
	reasons, open := p.Reasons()
	fast, slow := p.Quantiles(true), p.Quantiles(false)
	t.Logf("%s: %v, %d open; fast p50 %v p99 %v; slow p50 %v p99 %v max %v", what, reasons, open, fast[0], fast[1], slow[0], slow[1], slow[2])
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		list = append(list, fmt.Sprintf("%s %d", reason, reasons[reason]))
	}
	table = append(table, fmt.Sprintf("| %s | %s | %.0f ms | %.1f ms |", what, strings.Join(list, ", "), ms(slow[2]), ms(fast[1])))
	return reasons, slow[2]
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// table is what stands in docs/measurements/remote.md of labels, a row for each phase.
var table []string

const tableHead = `
| the server | labels by reason | longest wait for it | p99 of the fast stage |
|---|---|---|---|
`

// grace is what a busy machine may add to a deadline.
const grace = 100 * time.Millisecond

func TestHarm(t *testing.T) {
	needServer(t)
	server := newServer(t, toy+"/slow.txt", "1").start()
	s, p := harmed(t, server)
	defer p.End()
	inUse(t, s, 1)
	time.Sleep(time.Second)
	look(t, p, "starting")
	time.Sleep(5 * time.Second)
	if reasons, _ := look(t, p, "well"); reasons["last_stage"] < 250 {
		t.Errorf("%v", reasons)
	}

	// Each fault, for some seconds: every flow gets a label in time, and soon after it
	// the server is used again.
	for _, fault := range []struct {
		name      string
		harm, end func()
	}{
		{"stopped", func() { server.cmd.Process.Signal(syscall.SIGSTOP) }, func() { server.cmd.Process.Signal(syscall.SIGCONT) }},
		{"killed", server.kill, func() { server.start() }},
		{"another version", func() { server.kill(); server.version("2"); server.start() },
			func() { server.kill(); server.version("1"); server.start() }},
	} {
		fault.harm()
		time.Sleep(8 * time.Second)
		reasons, most := look(t, p, fault.name)
		if reasons["unanswered"]+reasons["shed"] < 300 {
			t.Errorf("%s: %v", fault.name, reasons)
		}
		if most > deadline+grace {
			t.Errorf("%s: a flow waited for %v", fault.name, most)
		}
		fault.end()
		server.await()
		took := inUse(t, s, 1)
		t.Logf("%s: used again %v after it was well", fault.name, took.Round(10*time.Millisecond))
		back := fmt.Sprintf("%s, used again after %.2f s", fault.name, took.Seconds())
		if took > 5*time.Second {
			t.Errorf("%s: %v to come back", fault.name, took)
		}
		time.Sleep(2 * time.Second)
		look(t, p, back)
		time.Sleep(3 * time.Second)
		if reasons, _ := look(t, p, fault.name+", well again"); reasons["last_stage"] < 50 {
			t.Errorf("%v", reasons)
		}
	}
	t.Logf("requests: %v ok, %v late, %v down, %v wrong", result(s, "ok"), result(s, "late"), result(s, "down"), result(s, "wrong"))
	if result(s, "late") == 0 || result(s, "down") == 0 {
		t.Error("failures are not counted by their kinds")
	}
}

func result(s *steady.Sidecar, r string) float64 {
	return s.Metric(fmt.Sprintf(`inference_requests_total{model="slow",result=%q}`, r))
}

// One of two servers goes away: the other has all, and no flow goes without.
func TestTwoServers(t *testing.T) {
	needServer(t)
	one, two := newServer(t, toy+"/slow.txt", "1").start(), newServer(t, toy+"/slow.txt", "1").start()
	s, p := harmed(t, one, two)
	defer p.End()
	inUse(t, s, 2)
	time.Sleep(2 * time.Second)
	look(t, p, "two, starting")
	one.kill()
	time.Sleep(5 * time.Second)
	reasons, _ := look(t, p, "one of two, killed")
	if reasons["last_stage"] < 250 {
		t.Errorf("%v", reasons)
	}
}
