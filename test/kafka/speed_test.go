package kafka

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/kafka"
	"serveflow/sidecar/tap/wire"
	"serveflow/test/kafka/broker"
	"serveflow/test/steady"
)

// metric adds up a metric of a stream.
func metric(t *testing.T, s *kafka.Stream, name string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "serveflow_kafka_"+name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// source makes decisions of 64 flows after each other.
type source struct {
	records [64]decision.Record
	next    uint64
}

func (o *source) give(s *kafka.Stream) {
	for i := range o.records {
		o.next++
		r := decision.Record{
			Start: 1_700_000_000_000_000 + int64(o.next), Sensor: "zeek-1", Flow: wire.UintID(o.next),
			Label: "web", Score: .97, Margin: .95, Stage: "small2", Packets: 2, LatencyUS: 1234, Model: "channel@2.0.0", Reason: "accepted",
		}
		r.Tuple.SetAddrs(netip.AddrFrom4([4]byte{10, byte(o.next >> 16), byte(o.next >> 8), byte(o.next)}), netip.AddrFrom4([4]byte{192, 0, 2, 1}))
		r.Tuple.SrcPort, r.Tuple.DstPort, r.Tuple.Proto = uint16(o.next), 443, packet.TCP
		o.records[i] = r
	}
	s.Write(o.records[:])
}

// open opens a stream to a broker with so many bytes of memory.
func open(t *testing.T, b *broker.Broker, memory int) *kafka.Stream {
	t.Helper()
	s, err := kafka.Open(kafka.Options{
		Server: kafka.Server{Brokers: []string{b.Address()}}, Host: "host", Topic: b.Topic("labels"), Compression: "lz4",
		Queue: t.TempDir(), QueueSize: 1 << 30, Memory: memory, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// live is how many bytes of the heap are in use, without garbage.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestThroughput gives a stream as many decisions as it takes, for ten seconds, and says
// how many a broker on the same machine has then acknowledged.
func TestThroughput(t *testing.T) {
	b := broker.Start(t)
	s := open(t, b, 32<<20)
	value := func(name string) float64 { return metric(t, s, name) }
	var decisions source
	most := uint64(0)
	during := func(d time.Duration) {
		for began, n := time.Now(), 0; time.Since(began) < d; n++ {
			if n%64 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
				for value("lag_records") > 100_000 {
					time.Sleep(2 * time.Millisecond)
				}
			}
			decisions.give(s)
		}
	}
	during(5 * time.Second) // the broker's compiler warms up
	before, began := value("sent_total"), time.Now()
	during(10 * time.Second)
	rate := (value("sent_total") - before) / time.Since(began).Seconds()
	note(t, "%.0f records a second acknowledged; %v dropped; %d MiB of heap at most, garbage included; %v read back from files", rate, value("drops_total"), most>>20, value("spilled_total"))
	// Where the disk does not keep up, records are dropped; none goes uncounted.
	for deadline := time.Now().Add(time.Minute); value("lag_records") > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%.0f records wait", value("lag_records"))
		}
	}
	if sent, dropped := value("sent_total"), value("drops_total"); sent+dropped != float64(decisions.next) {
		t.Errorf("%d records, %.0f sent and %.0f dropped", decisions.next, sent, dropped)
	}
	if most > 256<<20 {
		t.Error("memory is not bounded")
	}
}

// TestMemory: what a stream takes stays within what is set aside for it, while a broker
// takes all that comes, and while it takes nothing.
func TestMemory(t *testing.T) {
	b := broker.Start(t)
	for _, memory := range []int{1 << 20, 8 << 20, 32 << 20} {
		for range 3 { // what pools hold of earlier streams goes with the second collection
			runtime.GC()
		}
		before := live()
		s := open(t, b, memory)
		var decisions source
		most := [2]int64{}
		for i := range 2 {
			if i == 1 {
				b.Signal(syscall.SIGSTOP)
			}
			for range 40 {
				for range 200 {
					decisions.give(s)
				}
				most[i] = max(most[i], live()-before)
			}
		}
		waits, sent := metric(t, s, "lag_records"), metric(t, s, "sent_total")
		b.Signal(syscall.SIGCONT)
		s.Close(t.Context())
		note(t, "memory of %d MiB: at most %.1f MiB while the broker takes records (%.0f taken), %.1f MiB while it does not (%.0f wait); set aside %.1f MiB",
			memory>>20, float64(most[0])/(1<<20), sent, float64(most[1])/(1<<20), waits, float64(kafka.Bytes(int64(memory)))/(1<<20))
		if max(most[0], most[1]) > kafka.Bytes(int64(memory)) {
			t.Error("more than is set aside")
		}
		if sent < 10_000 || waits < 100_000 {
			t.Error("the stream had nothing to do")
		}
	}
}

// TestLatency compares what the first stage's labels take with and without a stream, in
// turns.
func TestLatency(t *testing.T) {
	b := broker.Start(t)
	var p50, p99 [2][]time.Duration
	for range 3 {
		for with := range 2 {
			var s *steady.Sidecar
			if with == 1 {
				s = newSidecar(t, stream(b, b.Topic("labels"))).Start()
			} else {
				s = steady.New(t, serveflow, root+"/test/bundle/toy", "").Start()
			}
			p := s.Run("one", rate)
			time.Sleep(2 * time.Second)
			p.Quantiles(true)
			time.Sleep(8 * time.Second)
			q := p.Quantiles(true)
			p.End()
			s.Stop()
			p50[with], p99[with] = append(p50[with], q[0]), append(p99[with], q[1])
		}
	}
	note(t, "without: p50 %v, p99 %v; with: p50 %v, p99 %v", p50[0], p99[0], p50[1], p99[1])
	ratio := float64(slices.Min(p99[1])) / float64(slices.Min(p99[0]))
	note(t, "p99 of the best turns: %.2f times", ratio)
	if ratio > 1.5 {
		t.Error("the stream makes the first stage's labels late")
	}
}

// What stands in a topic can be read by a tool that is not ours.
func TestKcat(t *testing.T) {
	b := broker.Start(t)
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("SKIPPED: NO KCAT (Debian: kcat)")
	}
	s := newSidecar(t, stream(b, b.Topic("labels"))).Start()
	p := s.Run("one", rate)
	time.Sleep(2 * time.Second)
	p.End()
	s.Drained()
	s.Stop()
	out, err := exec.Command(kcat, "-C", "-q", "-b", b.Address(), "-t", "labels", "-o", "beginning", "-e", "-K", "\t").Output()
	if err != nil {
		t.Fatal(err)
	}
	decided := s.Decided()
	lines := strings.Split(strings.TrimSpace(string(bytes.TrimSpace(out))), "\n")
	for _, line := range lines {
		if key, value, ok := strings.Cut(line, "\t"); !ok || !strings.HasPrefix(key, "1:") || !strings.HasPrefix(value, `{"event":{"id":"`) {
			t.Fatalf("%s", line)
		}
	}
	if len(lines) != len(decided) {
		t.Errorf("kcat reads %d records of %d decisions", len(lines), len(decided))
	}
	note(t, "kcat reads %d records", len(lines))
}

// The example of a consumer prints each label once, though two sidecars of the same host
// have sent the same flows.
func TestConsumer(t *testing.T) {
	b := broker.Start(t)
	python := os.Getenv("SERVEFLOW_PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import confluent_kafka").Run() != nil {
		t.Skip("SKIPPED: NO CONFLUENT_KAFKA for " + python + " (SERVEFLOW_PYTHON): pip install confluent-kafka")
	}
	b.Topic("labels")
	flows := 0
	for range 2 {
		s, err := kafka.Open(kafka.Options{
			Server: kafka.Server{Brokers: []string{b.Address()}}, Host: "host", Topic: "labels", Compression: "zstd",
			Queue: t.TempDir(), QueueSize: 1 << 30, Memory: 1 << 20, Log: zerolog.Nop(),
		})
		if err != nil {
			t.Fatal(err)
		}
		flows = 0
		for range 500 {
			flows++
			s.Write([]decision.Record{{Start: int64(flows), Sensor: "one", Flow: wire.UintID(uint64(flows)), Label: "web"}})
		}
		for until := time.Now().Add(time.Minute); metric(t, s, "lag_records") > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatal("not all was sent")
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "consumer.py", "--brokers", b.Address(), "--topic", "labels", "--idle", "8")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if n := bytes.Count(out, []byte("\n")); n != flows || !strings.Contains(said.String(), "1000 records, 500 repeats dropped, 0 not read") {
		t.Errorf("%d lines; %s", n, said.String())
	}
}
