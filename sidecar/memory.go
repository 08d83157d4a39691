package sidecar

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/output/eve"
	"serveflow/sidecar/output/kafka"
	"serveflow/sidecar/tap/ingest"
)

// Memory is how much memory the process may use and how its parts divide it, in
// bytes. A quarter is left for the program, its bundles and garbage.
type Memory struct {
	Total   int64
	From    string // what sets the total, for people
	Replies int64  // labels queued for taps, beyond each tap's own share
	EVE     int64  // EVE records that arrive, wait and leave; 0: there is no socket for them
	Kafka   int64  // records for Kafka; 0: there is no stream

	Connections int // of taps
	Flows       int // tracked
	Undecided   int // of them, with the packets that the bundle wants
	packets     int64

	// Of a shadow bundle; 0: there is none.
	ShadowFlows, ShadowUndecided int
	shadowPackets                int64
	shadowBatches                int // that may wait in each queue of a shard
}

// What parts are given at most: more is of no use to them.
const (
	maxReplies = 256 << 20
	maxEVE     = 192 << 20
)

// unknownMemory is how much memory the process may use if no limit is known.
const unknownMemory = 2 << 30

// DivideMemory divides limits.memory for a configuration, while a bundle is served, and
// beside it a shadow, or nil.
func DivideMemory(c *config.Config, b, shadow *bundle.Bundle) Memory {
	m := Memory{Total: c.Limits.Memory, From: "limits.memory"}
	if m.Total == 0 {
		limit := memory.Machine()
		m.Total, m.From = cmp.Or(limit.Bytes, unknownMemory), limit.From
		if set := debug.SetMemoryLimit(-1); set < m.Total {
			m.Total, m.From = set, "GOMEMLIMIT"
		}
		m.Total = max(m.Total, config.MinMemory)
	}
	shadowPackets := 0
	if shadow != nil {
		shadowPackets = shadow.Packets()
	}
	m.divide(c, b.Packets(), shadowPackets)
	return m
}

func (m *Memory) divide(c *config.Config, packets, shadowPackets int) {
	left := m.Total / 4 * 3
	take := func(n int64) int64 { left -= n; return n }
	record, part := flow.RecordBytes, left/8
	m.Replies = take(min(part, maxReplies))
	if c.EVE.Listen != "" {
		m.EVE = take(min(part, maxEVE))
		record += eve.LabelBytes
	}
	if len(c.Kafka.Brokers) > 0 {
		m.Kafka = min(c.Kafka.Memory, part/2)
		take(kafka.Bytes(m.Kafka))
	}
	connection := int64(ingest.ConnectionBytes(shards(c)))
	m.Connections = int(min(int64(c.Listen.MaxConnections), max(2*part/connection, 1)))
	take(int64(m.Connections) * connection)
	if shadowPackets > 0 {
		share := take(left / 4)
		queues := int64(shards(c) * shard.Queues * flow.BatchBytes)
		m.shadowBatches = int(min(max(share/2/queues, 2), shard.QueueBatches/2))
		share -= int64(m.shadowBatches) * queues
		m.ShadowFlows, m.ShadowUndecided, m.shadowPackets = divideFlows(c, share, flow.RecordBytes+shard.PairBytes, shadowPackets)
	}
	m.Flows, m.Undecided, m.packets = divideFlows(c, left, record, packets)
}

// divideFlows divides memory between the records of flows and their packets: as many
// flows as are asked for, unless decided ones would take more than half.
func divideFlows(c *config.Config, left int64, record, packets int) (flows, undecided int, bytes int64) {
	flows = int(max(min(int64(c.Flow.MaxFlows), left/2/int64(record)), 1))
	bytes = max(left-int64(flows)*int64(record), 1)
	undecided = int(max(min(bytes/int64(flow.PacketBytes(packets)), int64(flows)), 1))
	return flows, undecided, bytes
}

// shards is how many shards there are.
func shards(c *config.Config) int { return cmp.Or(c.Flow.Shards, runtime.GOMAXPROCS(0)) }

// Print prints what there is, for people, in one line of a table.
func (m *Memory) Print(w io.Writer) {
	fmt.Fprintf(w, "memory\t%d MiB (%s): up to %d flows, %d of them undecided; %d connections of taps",
		m.Total>>20, m.From, m.Flows, m.Undecided, m.Connections)
	if m.Kafka > 0 {
		fmt.Fprintf(w, "; %d MiB of records for Kafka", m.Kafka>>20)
	}
	fmt.Fprintln(w)
	if m.ShadowFlows > 0 {
		fmt.Fprintf(w, "\tof it for the shadow: up to %d flows, %d of them undecided\n", m.ShadowFlows, m.ShadowUndecided)
	}
}

// log says where there is less than was asked for.
func (m *Memory) log(c *config.Config, log zerolog.Logger) {
	if m.Kafka > 0 && m.Kafka < c.Kafka.Memory {
		log.Warn().Int64("mib", m.Total>>20).Str("set_by", m.From).Int64("kafka_mib", m.Kafka>>20).
			Msg("memory: there is no room for as much as kafka.memory says; limits.memory gives more")
	}
	if m.Flows < c.Flow.MaxFlows || m.Connections < c.Listen.MaxConnections {
		log.Warn().Int64("mib", m.Total>>20).Str("set_by", m.From).Int("flows", m.Flows).Int("connections", m.Connections).
			Msg("memory: there is no room for as many flows or connections as flow.max_flows and listen.max_connections say; limits.memory gives more")
	}
}

// limit has the garbage collector keep to what there is, unless GOMEMLIMIT says
// something else.
func (m *Memory) limit() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(m.Total)
	}
}
