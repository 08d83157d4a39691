package sidecar

import (
	"fmt"
	"math"
	"runtime/debug"
	"testing"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/eve"
	"serveflow/sidecar/output/kafka"
	"serveflow/sidecar/tap/ingest"
)

// TestDivideMemory: what parts are given comes to three quarters at most, each part has
// something to work with, and where there is enough the configuration holds.
func TestDivideMemory(t *testing.T) {
	for _, total := range []int64{config.MinMemory, 1 << 30, 4 << 30, 64 << 30, 1 << 50} {
		for _, packets := range []int{1, 12, 64} {
			for _, with := range []struct {
				listen  string
				brokers []string
			}{{}, {listen: "/run/eve.sock"}, {brokers: []string{"127.0.0.1:9092"}}, {"/run/eve.sock", []string{"127.0.0.1:9092"}}} {
				listen := with.listen
				for _, n := range []int{1, 64} {
					t.Run(fmt.Sprint(total>>20, " MiB, ", packets, " packets, ", n, " shards ", with), func(t *testing.T) {
						c := config.Default()
						c.EVE.Listen, c.Kafka.Brokers, c.Flow.Shards = listen, with.brokers, n
						m := Memory{Total: total}
						m.divide(&c, packets)
						record := flow.RecordBytes
						if listen != "" {
							record += eve.LabelBytes
						}
						sum := m.Replies + m.EVE + int64(m.Connections)*int64(ingest.ConnectionBytes(n)) +
							int64(m.Flows)*int64(record) + int64(m.Undecided)*int64(flow.PacketBytes(packets))
						if with.brokers != nil {
							sum += kafka.Bytes(m.Kafka)
						}
						if sum > total/4*3 {
							t.Errorf("%d MiB are given", sum>>20)
						}
						if m.Flows < 1000 || m.Undecided < 1000 || m.Connections < 4 || m.Replies < 16<<20 ||
							listen != "" && m.EVE < 16<<20 || with.brokers != nil && m.Kafka < 8<<20 {
							t.Errorf("too little: %+v", m)
						}
						if total >= 64<<30 && (m.Flows != c.Flow.MaxFlows || m.Undecided != m.Flows || m.Connections != c.Listen.MaxConnections ||
							with.brokers != nil && m.Kafka != c.Kafka.Memory) {
							t.Errorf("less than was asked for: %+v", m)
						}
					})
				}
			}
		}
	}
}

// TestMemoryLimit: the collector keeps to limits.memory, and GOMEMLIMIT goes before.
func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	(&Memory{Total: 1 << 30}).limit()
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("the limit is %d", got)
	}
	(&Memory{Total: 2 << 30}).limit() // as if GOMEMLIMIT had set it before
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("the limit is %d, what was set before is gone", got)
	}
}
