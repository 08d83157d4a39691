package kafka

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
)

// broker is a real one, which keeps its topics when it is started again.
type broker struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// startBroker starts a broker on three free ports.
func startBroker(t *testing.T, properties ...string) *broker {
	t.Helper()
	needBroker(t)
	b := &broker{t: t, dir: t.TempDir(), port: freePorts(t)}
	b.start(properties...)
	b.await()
	return b
}

// freePorts is the first of three ports that nobody listens on.
func freePorts(t *testing.T) int {
	for port := 21000 + os.Getpid()%20000; port < 60000; port += 3 {
		free := true
		for i := range 3 {
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

func (b *broker) address() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }
func (b *broker) sasl() string    { return fmt.Sprintf("127.0.0.1:%d", b.port+1) }

func (b *broker) start(properties ...string) {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command("./broker.sh", append([]string{b.dir, fmt.Sprint(b.port)}, properties...)...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	cmd := b.cmd
	b.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// await waits until the broker answers.
func (b *broker) await() {
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

func (b *broker) kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

func (b *broker) signal(s syscall.Signal) { b.cmd.Process.Signal(s) }

func (b *broker) client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.address()))...)
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

// topic makes a topic of 4 partitions.
func (b *broker) topic(name string) string {
	b.t.Helper()
	client := b.client()
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 4, 1
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

// records reads all that a topic has, partition by partition in order, until nothing
// comes for a while.
func (b *broker) records(topic string) (all []*kgo.Record) {
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
