package sidecar

import (
	"fmt"
	"math"
	"runtime/debug"
	"testing"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/shard"
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
						m.divide(&c, packets, 0)
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

// TestDivideMemoryWithShadow: a shadow's part is counted, too, and leaves the larger part
// to the bundle that is served.
func TestDivideMemoryWithShadow(t *testing.T) {
	for _, total := range []int64{config.MinMemory, 1 << 30, 64 << 30} {
		for _, n := range []int{1, 64} {
			c := config.Default()
			c.Flow.Shards = n
			m := Memory{Total: total}
			m.divide(&c, 12, 12)
			shadow := int64(m.ShadowFlows)*int64(flow.RecordBytes+shard.PairBytes) + int64(m.ShadowUndecided)*int64(flow.PacketBytes(12)) +
				int64(n*shard.Queues*m.shadowBatches*flow.BatchBytes)
			sum := shadow + m.Replies + int64(m.Connections)*int64(ingest.ConnectionBytes(n)) +
				int64(m.Flows)*int64(flow.RecordBytes) + int64(m.Undecided)*int64(flow.PacketBytes(12))
			if sum > total/4*3 || shadow > total/4 {
				t.Errorf("%d MiB, %d shards: %d MiB are given, %d of them to the shadow", total>>20, n, sum>>20, shadow>>20)
			}
			if m.Flows < 2*m.ShadowFlows && m.Flows < c.Flow.MaxFlows || m.ShadowUndecided < 1000 || m.shadowBatches < 2 {
				t.Errorf("%d MiB, %d shards: %+v", total>>20, n, m)
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
