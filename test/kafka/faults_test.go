package kafka

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/kafka"
	"serveflow/sidecar/tap/wire"
	"serveflow/test/kafka/broker"
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

// newSidecar is one that streams, with what else stands in [kafka].
func newSidecar(t *testing.T, kafka string) *steady.Sidecar {
	return steady.New(t, serveflow, root+"/test/bundle/toy", "[kafka]\nqueue = \"{queue}\"\n"+kafka)
}

func stream(b *broker.Broker, topic string) string {
	return fmt.Sprintf("brokers = [%q]\ntopic = %q\nhost = \"test\"", b.Address(), topic)
}

// want fails unless nothing was lost, repeated or put out of order.
func (r result) want(t *testing.T, decided int) {
	t.Helper()
	if r.decided < decided || r.lost != 0 || r.dropped != 0 || r.repeated != 0 || r.disordered != 0 {
		t.Errorf("want at least %d flows, and all of them once and in order", decided)
	}
}

func TestBrokerKilled(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, b.Topic("labels"))), "labels")
	time.Sleep(5 * time.Second)
	b.Kill()
	r.during(30 * time.Second)
	if up, records, seconds := r.with.Metric("kafka_up"), r.with.Metric("kafka_lag_records"), r.with.Metric("kafka_lag_seconds"); up != 0 || records < 20*rate || seconds < 20 {
		t.Errorf("up %v, lag %v records, %v s", up, records, seconds)
	}
	b.Start()
	b.Await()
	time.Sleep(5 * time.Second)
	r.settle("broker killed for 30 s").want(t, 30*rate)
}

func TestBrokerStopped(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, b.Topic("labels"))), "labels")
	time.Sleep(5 * time.Second)
	b.Signal(syscall.SIGSTOP)
	r.during(30 * time.Second)
	b.Signal(syscall.SIGCONT)
	time.Sleep(5 * time.Second)
	r.settle("broker stopped (`SIGSTOP`) for 30 s").want(t, 30*rate)
}

func TestSidecarKilled(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, b.Topic("labels"))), "labels")
	r.forget()
	for range 5 {
		time.Sleep(3 * time.Second)
		r.with.Kill()
		r.without.Kill()
		r.with.Start()
		r.without.Start()
	}
	r.during(2 * time.Second)
	got := r.settle("sidecar killed (`SIGKILL`) five times, 3 s apart")
	if got.decided < 10*rate || got.lost != 0 || got.dropped != 0 || got.disordered != 0 {
		t.Error("want all flows, in order")
	}
	if got.repeated > 5*rate {
		t.Error("want no more repeats than what was under way")
	}
}

// A sidecar that is stopped while brokers are away leaves all in the queue to the next.
func TestSidecarStopped(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, b.Topic("labels"))), "labels")
	time.Sleep(2 * time.Second)
	r.forget()
	b.Kill()
	time.Sleep(3 * time.Second)
	for _, s := range []*steady.Sidecar{r.with, r.without} {
		s.Stop()
		s.Start()
	}
	r.during(2 * time.Second)
	b.Start()
	b.Await()
	got := r.settle("sidecar stopped (`SIGTERM`) and started while the broker is away")
	if got.decided < 4*rate || got.lost != 0 || got.dropped != 0 || got.disordered != 0 {
		t.Error("want all flows, in order")
	}
}

// smallDisk mounts a file system of so many bytes where the queue of a sidecar is to be.
func smallDisk(t *testing.T, s *steady.Sidecar, size string) {
	t.Helper()
	if err := os.Mkdir(s.Queue(), 0o750); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", s.Queue()).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: NO SMALL FILE SYSTEM HERE (it takes root): %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", s.Queue()).Run() })
}

// A queue that may have 2 MiB, and one whose disk has no more: what does not fit is
// counted to the flow, and the rest comes, in order.
func TestQueueFull(t *testing.T) {
	for name, limit := range map[string]string{"queue": "queue_size = \"2MiB\"", "disk": ""} {
		t.Run(name, func(t *testing.T) {
			b := broker.Start(t)
			s := newSidecar(t, stream(b, b.Topic("labels"))+"\nmemory = \"1MiB\"\n"+limit)
			if limit == "" {
				smallDisk(t, s, "2m")
			}
			r := begin(t, b, s, "labels")
			time.Sleep(2 * time.Second)
			b.Signal(syscall.SIGSTOP)
			r.during(15 * time.Second)
			b.Signal(syscall.SIGCONT)
			time.Sleep(5 * time.Second)
			got := r.settle("broker stopped for 15 s, 1 MiB of memory and a " + name + " of 2 MiB")
			if got.lost == 0 || got.lost != got.dropped || got.repeated != 0 || got.disordered != 0 {
				t.Errorf("want some lost and all of them counted, none twice or out of order:\n%s", s.Said())
			}
		})
	}
}

// A disk that is full costs nothing while the broker takes what comes.
func TestDiskFullAlone(t *testing.T) {
	b := broker.Start(t)
	s := newSidecar(t, stream(b, b.Topic("labels")))
	smallDisk(t, s, "64k")
	r := begin(t, b, s, "labels")
	time.Sleep(2 * time.Second)
	r.forget()
	r.during(5 * time.Second)
	r.settle("disk of the queue full from the start (64 KiB), broker well").want(t, 4*rate)
}

func TestTopicMissing(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, "late")), "late")
	r.forget()
	r.during(8 * time.Second)
	out, err := exec.Command(serveflow, "check", "-c", r.with.Config()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make the topic") {
		t.Errorf("check: %v: %s", err, out)
	}
	if !strings.Contains(r.with.Said(), "make the topic") {
		t.Errorf("the log has no word of it:\n%s", r.with.Said())
	}
	b.Topic("late")
	time.Sleep(7 * time.Second)
	if out, err := exec.Command(serveflow, "check", "-c", r.with.Config()).CombinedOutput(); err != nil || !strings.Contains(string(out), "topic late: partitions 4") {
		t.Errorf("check: %v: %s", err, out)
	}
	r.settle("topic missing for 8 s").want(t, 10*rate)
}

// A topic that takes no old records: those that have waited go with the time of their
// sending, rather than keep all others waiting for ever.
func TestTooOld(t *testing.T) {
	b := broker.Start(t)
	r := begin(t, b, newSidecar(t, stream(b, b.Topic("labels", "message.timestamp.before.max.ms", "5000"))), "labels")
	time.Sleep(2 * time.Second)
	b.Kill()
	r.during(10 * time.Second)
	b.Start()
	b.Await()
	got := r.settle("broker killed for 10 s, records of more than 5 s refused")
	if got.decided < 10*rate || got.lost != 0 || got.dropped != 0 {
		t.Error("want all flows")
	}
}

// A topic of EVE records that is missing does not have the labels sent again and again.
func TestEVETopicMissing(t *testing.T) {
	b := broker.Start(t)
	s, err := kafka.Open(kafka.Options{
		Server: kafka.Server{Brokers: []string{b.Address()}}, Host: "host", Topic: b.Topic("labels"), EVETopic: "eve", Compression: "lz4",
		Queue: t.TempDir(), QueueSize: 1 << 30, Memory: 1 << 20, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	const n = 100
	for i := range n {
		s.Write([]decision.Record{{Start: int64(i), Sensor: "one", Flow: wire.UintID(uint64(i)), Label: "web"}})
		s.EVE("one", fmt.Appendf(nil, `{"flow_id":%d}`, i))
	}
	time.Sleep(20 * time.Second)
	if got := len(b.Records("labels")); got != n {
		t.Errorf("%d records of %d decisions while the other topic is missing", got, n)
	}
	b.Topic("eve")
	for until := time.Now().Add(time.Minute); metric(t, s, "lag_records") > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("not all was sent")
		}
	}
	if labels, eve := len(b.Records("labels")), len(b.Records("eve")); labels != n || eve != n || metric(t, s, "sent_total") != 2*n || metric(t, s, "drops_total") != 0 {
		t.Errorf("%d and %d records of %d, %v sent, %v dropped", labels, eve, n, metric(t, s, "sent_total"), metric(t, s, "drops_total"))
	}
}
