// Package broker runs a real broker, Apache Kafka in KRaft mode, for tests: "make
// build/kafka/complete" fetches it, and SERVEFLOW_KAFKA asks for it.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"serveflow/test/engine"
)

// Broker is a broker, which keeps its topics when it is started again.
type Broker struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// Wanted says whether somebody asked for tests with a broker.
func Wanted() bool { return os.Getenv("SERVEFLOW_KAFKA") != "" }

// New makes a broker that is not started yet. It skips a test, aloud, where no broker was
// asked for.
func New(t *testing.T) *Broker {
	t.Helper()
	if !Wanted() {
		t.Skip("SKIPPED: NO BROKER: \"make kafka-e2e\" fetches Apache Kafka and runs these tests")
	}
	return &Broker{t: t, dir: t.TempDir(), port: freePorts(t)}
}

// Start starts a broker and waits until it answers.
func Start(t *testing.T) *Broker {
	t.Helper()
	b := New(t)
	b.Start()
	b.Await()
	return b
}

// ports is how many ports a broker has.
const ports = 6

// freePorts is the first of so many ports that nobody listens on.
func freePorts(t *testing.T) int {
	for port := 21000 + os.Getpid()%9000; port < 32000; port += ports {
		free := true
		for i := range ports {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

func (b *Broker) at(i int) string { return fmt.Sprintf("127.0.0.1:%d", b.port+i) }

// Address is where everybody may connect.
func (b *Broker) Address() string { return b.at(0) }

// SASL is where clients sign in, as serveflow with the password "right".
func (b *Broker) SASL() string { return b.at(1) }

// TLS is where the broker shows a certificate, if the directory has one.
func (b *Broker) TLS() string { return b.at(3) }

// MutualTLS is where clients have to show one, too.
func (b *Broker) MutualTLS() string { return b.at(4) }

// TLSWithSASL is where the broker shows a certificate and clients sign in.
func (b *Broker) TLSWithSASL() string { return b.at(5) }

// Start starts it, also again.
func (b *Broker) Start() {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command(filepath.Join(engine.Root(b.t), "test/kafka/broker/run.sh"), b.dir, fmt.Sprint(b.port))
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	cmd := b.cmd
	b.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// Await waits until the broker answers.
func (b *Broker) Await() {
	b.t.Helper()
	client := b.client()
	defer client.Close()
	for until := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
		err := client.Ping(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			log, _ := os.ReadFile(filepath.Join(b.dir, "log"))
			b.t.Fatalf("the broker does not come: %v\n%s", err, log)
		}
	}
}

// Kill kills it.
func (b *Broker) Kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

// Signal sends it a signal.
func (b *Broker) Signal(s syscall.Signal) { b.cmd.Process.Signal(s) }

func (b *Broker) client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Address()))...)
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

// Topic makes a topic of 4 partitions, with so many settings, each a name and a value.
func (b *Broker) Topic(name string, settings ...string) string {
	b.t.Helper()
	client := b.client()
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 4, 1
	for i := 0; i < len(settings); i += 2 {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = settings[i], &settings[i+1]
		topic.Configs = append(topic.Configs, config)
	}
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(b.t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		b.t.Fatal(err)
	}
	return name
}

// Records reads all that a topic has, partition by partition in order, until nothing
// comes for a while.
func (b *Broker) Records(topic string) (all []*kgo.Record) {
	b.t.Helper()
	client := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	defer client.Close()
	for {
		ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
		fetches := client.PollFetches(ctx)
		over := ctx.Err() != nil
		cancel()
		fetches.EachRecord(func(r *kgo.Record) { all = append(all, r) })
		if over && fetches.NumRecords() == 0 {
			return all
		}
	}
}
