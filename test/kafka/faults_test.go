package kafka

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"serveflow/test/steady"
)

// rate is how many flows a second the tap sends.
const rate = 1000

// result is what became of the flows of a run.
type result struct {
	decided, lost, dropped, repeated, disordered int
	spilled                                      float64
	caughtUp                                     time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("%d decided, %d lost (%d counted as dropped), %d repeated, %d out of order, %.0f read back from files, caught up in %v",
		r.decided, r.lost, r.dropped, r.repeated, r.disordered, r.spilled, r.caughtUp.Round(100*time.Millisecond))
}

// value is what the tests look at in a record.
type value struct {
	Event       struct{ ID string }
	Host        string
	Sensor      string
	Flow        uint64
	CommunityID string `json:"community_id"`
	Label       string
}

func read(t *testing.T, r *kgo.Record) (v value) {
	t.Helper()
	if err := json.Unmarshal(r.Value, &v); err != nil {
		t.Fatalf("%v: %s", err, r.Value)
	}
	if len(v.Event.ID) != 32 || string(r.Key) != v.CommunityID || v.Label == "" {
		t.Fatalf("key %s of %s", r.Key, r.Value)
	}
	return v
}

// compare holds a topic against what was decided.
func compare(t *testing.T, records []*kgo.Record, decided map[uint64]bool) (r result) {
	t.Helper()
	seen := map[string]bool{}
	last := map[string]uint64{} // by key
	flows := map[uint64]bool{}
	for _, one := range records {
		v := read(t, one)
		if seen[v.Event.ID] {
			r.repeated++
			continue
		}
		seen[v.Event.ID] = true
		flows[v.Flow] = true
		if key := string(one.Key); v.Flow < last[key] {
			r.disordered++
		} else {
			last[key] = v.Flow
		}
	}
	r.decided = len(decided)
	for flow := range decided {
		if !flows[flow] {
			r.lost++
		}
	}
	return r
}

// settle ends the tap, waits until all is sent, and compares.
func settle(t *testing.T, b *broker, s *steady.Sidecar, p *steady.Tap, topic string) result {
	t.Helper()
	p.End()
	took := s.Drained()
	dropped, spilled := s.Metric("kafka_drops_total"), s.Metric("kafka_spilled_total")
	s.Stop()
	r := compare(t, b.records(topic), s.Decided())
	r.dropped, r.spilled, r.caughtUp = int(dropped), spilled, took
	t.Log(r)
	return r
}

// newSidecar is one that streams, with what else stands in [kafka].
func newSidecar(t *testing.T, kafka string) *steady.Sidecar {
	return steady.New(t, serveflow, root+"/test/bundle/toy", "[kafka]\nqueue = \"{queue}\"\n"+kafka)
}

func stream(b *broker, topic string) string {
	return fmt.Sprintf("brokers = [%q]\ntopic = %q\nhost = \"test\"", b.address(), topic)
}

// want fails unless nothing was lost, repeated or put out of order.
func (r result) want(t *testing.T, decided int) {
	t.Helper()
	if r.decided < decided || r.lost != 0 || r.dropped != 0 || r.repeated != 0 || r.disordered != 0 {
		t.Errorf("want at least %d flows, and all of them once and in order", decided)
	}
}

func TestBrokerKilled(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, b.topic("labels"))).Start()
	p := s.Run("one", rate)
	time.Sleep(5 * time.Second)
	b.kill()
	time.Sleep(30 * time.Second)
	if s.Metric("kafka_up") != 0 || s.Metric("kafka_lag_records") < 20*rate || s.Metric("kafka_lag_seconds") < 20 {
		t.Errorf("up %v, lag %v records, %v s", s.Metric("kafka_up"), s.Metric("kafka_lag_records"), s.Metric("kafka_lag_seconds"))
	}
	b.start()
	b.await()
	time.Sleep(5 * time.Second)
	settle(t, b, s, p, "labels").want(t, 30*rate)
}

func TestBrokerStopped(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, b.topic("labels"))).Start()
	p := s.Run("one", rate)
	time.Sleep(5 * time.Second)
	b.signal(syscall.SIGSTOP)
	time.Sleep(30 * time.Second)
	b.signal(syscall.SIGCONT)
	time.Sleep(5 * time.Second)
	settle(t, b, s, p, "labels").want(t, 30*rate)
}

func TestSidecarKilled(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, b.topic("labels"))).Start()
	p := s.Run("one", rate)
	for range 5 {
		time.Sleep(3 * time.Second)
		s.Kill()
		s.Start()
	}
	time.Sleep(2 * time.Second)
	r := settle(t, b, s, p, "labels")
	if r.decided < 10*rate || r.lost != 0 || r.dropped != 0 || r.disordered != 0 {
		t.Error("want all flows, in order")
	}
	if r.repeated > 5*rate {
		t.Error("want no more repeats than what was under way")
	}
}

// A sidecar that is stopped while brokers are away leaves all in the queue to the next.
func TestSidecarStopped(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, b.topic("labels"))).Start()
	p := s.Run("one", rate)
	time.Sleep(2 * time.Second)
	b.kill()
	time.Sleep(3 * time.Second)
	s.Stop()
	s.Start()
	time.Sleep(2 * time.Second)
	b.start()
	b.await()
	r := settle(t, b, s, p, "labels")
	if r.decided < 4*rate || r.lost != 0 || r.dropped != 0 || r.disordered != 0 {
		t.Error("want all flows, in order")
	}
}

// A queue that may have 2 MiB, and one whose disk has no more: what does not fit is
// counted to the flow, and the rest comes, in order.
func TestQueueFull(t *testing.T) {
	for name, limit := range map[string]string{"bound": "queue_size = \"2MiB\"", "disk": ""} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			s := newSidecar(t, stream(b, b.topic("labels"))+"\nmemory = \"1MiB\"\n"+limit)
			if limit == "" {
				if err := os.Mkdir(s.Queue(), 0o750); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", s.Queue()).CombinedOutput(); err != nil {
					t.Skipf("SKIPPED: no file system of 2 MiB here (it takes root): %v: %s", err, out)
				}
				t.Cleanup(func() { exec.Command("umount", "-l", s.Queue()).Run() })
			}
			s.Start()
			p := s.Run("one", rate)
			time.Sleep(2 * time.Second)
			b.signal(syscall.SIGSTOP)
			time.Sleep(15 * time.Second)
			b.signal(syscall.SIGCONT)
			time.Sleep(5 * time.Second)
			r := settle(t, b, s, p, "labels")
			if r.lost == 0 || r.lost != r.dropped || r.repeated != 0 || r.disordered != 0 {
				t.Errorf("want some lost and all of them counted, none twice or out of order:\n%s", s.Said())
			}
		})
	}
}

// A disk that is full costs nothing while the broker takes what comes.
func TestDiskFullAlone(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, b.topic("labels")))
	if err := os.Mkdir(s.Queue(), 0o750); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", s.Queue()).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no file system of 64 KiB here (it takes root): %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", s.Queue()).Run() })
	s.Start()
	p := s.Run("one", rate)
	time.Sleep(5 * time.Second)
	settle(t, b, s, p, "labels").want(t, 4*rate)
}

func TestTopicMissing(t *testing.T) {
	b := startBroker(t)
	s := newSidecar(t, stream(b, "late")).Start()
	p := s.Run("one", rate)
	time.Sleep(8 * time.Second)
	out, err := exec.Command(serveflow, "check", "-c", s.Config()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make the topic") {
		t.Errorf("check: %v: %s", err, out)
	}
	if !strings.Contains(s.Said(), "make the topic") {
		t.Errorf("the log has no word of it:\n%s", s.Said())
	}
	b.topic("late")
	time.Sleep(7 * time.Second)
	if out, err := exec.Command(serveflow, "check", "-c", s.Config()).CombinedOutput(); err != nil || !strings.Contains(string(out), "topic late: partitions 4") {
		t.Errorf("check: %v: %s", err, out)
	}
	settle(t, b, s, p, "late").want(t, 10*rate)
}

func TestCredentialsWrong(t *testing.T) {
	b := startBroker(t)
	b.topic("labels")
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			topic := b.topic("labels-" + mechanism)
			password := filepath.Join(t.TempDir(), "password")
			write := func(text string) {
				if err := os.WriteFile(password, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("wrong")
			s := newSidecar(t, strings.ReplaceAll(stream(b, topic), b.address(), b.sasl())+
				fmt.Sprintf("\nsasl = %q\nuser = \"serveflow\"\npassword_file = %q", mechanism, password)).Start()
			p := s.Run("one", rate)
			time.Sleep(5 * time.Second)
			out, err := exec.Command(serveflow, "check", "-c", s.Config()).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "kafka.password_file") {
				t.Errorf("check: %v: %s", err, out)
			}
			if !strings.Contains(s.Said(), "kafka.password_file") {
				t.Errorf("the log has no word of it:\n%s", s.Said())
			}
			write("right")
			time.Sleep(7 * time.Second)
			settle(t, b, s, p, topic).want(t, 8*rate)
		})
	}
}
