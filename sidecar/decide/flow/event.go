package flow

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// Kind says what an event tells about its flow.
type Kind uint8

// The kinds of events a shard sees.
const (
	// Frame is a packet with its headers (PACKET).
	Frame Kind = iota
	// Headerless is a packet of a tap that sees no headers (META).
	Headerless
	// End says that the IDS is done with the flow (END).
	End
	// EndReported is the flow's end in a log of the IDS, with the number of packets
	// in each direction. The log and the tap use different sockets: the flow is
	// decided once all packets that the log counts have come. With no packets it is
	// decided on the packets there are.
	EndReported
	// ClockUpdate moves the packet time of a capture and belongs to no flow (STATS).
	ClockUpdate
)

// Event is one message about one flow. It holds no pointer: the bytes of a
// frame, or of payload, lie in its batch.
type Event struct {
	ID   wire.FlowID
	Time int64 // packet time, microseconds since the epoch
	// OrigPkts and RespPkts count the flow's packets in each direction, this
	// one included; their sum is the packet's index, from 1.
	OrigPkts, RespPkts uint64
	Tuple              packet.Tuple // Headerless: the ends as this packet names them
	Payload            int32        // Headerless: payload bytes, packet.Missing if unknown
	Link               packet.Link  // Frame: what the bytes begin with
	WireLen            uint32       // Frame: length on the wire from there on, 0 if unknown
	Kind               Kind
	Dir                packet.Dir
	from, to           uint32 // the bytes' place in the batch
	hash               uint32 // of the flow's key, in the index of the table that reads it ahead
}

// Index is the packet's place in its flow, from 1.
func (e *Event) Index() uint64 { return e.OrigPkts + e.RespPkts }

// Labels takes the decisions that go back to a tap. It is called by several
// shards at once and must not wait for the tap.
type Labels interface {
	Labels([]wire.Label)
}

// Source is one connection of a tap, as the shards know it. It is immutable.
type Source struct {
	Sensor   string
	SensorID uint32 // stands for Sensor in keys
	Capture  bool   // packet time is the clock; nothing is shed
	Reply    Labels // nil: the tap wants no labels
	// Unparsed is called, by several shards, for each packet that cannot be read;
	// or nil.
	Unparsed func(error)
}

// Barrier is a SYNC that all shards must reach.
type Barrier struct {
	// Final ends every open flow of the source before the barrier is passed.
	Final     bool
	remaining atomic.Int32
	pass      func()
}

// NewBarrier returns a barrier that calls pass, once, when all of n shards
// have arrived at it.
func NewBarrier(n int, final bool, pass func()) *Barrier {
	b := &Barrier{Final: final, pass: pass}
	b.remaining.Store(int32(n))
	return b
}

// Again returns a barrier with the same effect on the flows of one more shard, which
// nobody waits for.
func (b *Barrier) Again() *Barrier { return NewBarrier(1, b.Final, func() {}) }

// Arrive notes that one shard has handled everything before the barrier.
func (b *Barrier) Arrive() {
	if b.remaining.Add(-1) == 0 {
		b.pass()
	}
}

// The size of a batch: large enough to make the hand-off cheap, small enough
// to stay in the cache.
const (
	batchEvents = 128
	batchBytes  = 32 << 10
)

// BatchBytes is what a batch takes.
const BatchBytes = batchEvents*int(unsafe.Sizeof(Event{})) + batchBytes

// Batch is consecutive events of one source for one shard.
type Batch struct {
	Source       *Source
	Arrived      time.Time // when the first of the events was read
	Events       []Event
	Barrier      *Barrier // to be passed after the events, or nil
	SourceClosed bool     // the source has disconnected: these are its last events
	OutOfBand    bool     // the events are EndReported, sent by no tap: they move no clock
	// For a shadow: labels that its flows have from the other bundle, and whether
	// events before these were not passed on.
	Verdicts []Verdict
	Lost     bool
	bytes    []byte
}

// Verdict is the label that one of two bundles has given a flow.
type Verdict struct {
	Key     Key
	First   int64  // packet time of the flow's first packet
	Label   string // a label of the bundle, or "unknown"
	Decided bool   // by the cascade, not for want of packets or time
	After   int    // how many of the batch's events it comes after
}

var batchPool = sync.Pool{New: func() any {
	return &Batch{Events: make([]Event, 0, batchEvents), bytes: make([]byte, 0, batchBytes)}
}}

// NewBatch returns an empty batch for events of s, the first of which was read
// at arrived.
func NewBatch(s *Source, arrived time.Time) *Batch {
	b := batchPool.Get().(*Batch)
	b.Source, b.Arrived = s, arrived
	return b
}

// Release returns the batch to the pool. Neither it nor its events may be used
// afterwards.
func (b *Batch) Release() {
	clear(b.Verdicts) // which hold names of a bundle
	*b = Batch{Events: b.Events[:0], Verdicts: b.Verdicts[:0], bytes: b.bytes[:0]}
	batchPool.Put(b)
}

// Add appends an event and returns it to be filled in. The pointer is valid
// until the next Add.
func (b *Batch) Add() *Event {
	b.Events = append(b.Events, Event{})
	return &b.Events[len(b.Events)-1]
}

// AddBytes copies the bytes of a frame, or of the payload of META, into the batch.
func (b *Batch) AddBytes(e *Event, bytes []byte) {
	e.from = uint32(len(b.bytes))
	b.bytes = append(b.bytes, bytes...)
	e.to = uint32(len(b.bytes))
}

// Bytes are the bytes of e, an event of this batch, valid until Release.
func (b *Batch) Bytes(e *Event) []byte { return b.bytes[e.from:e.to] }

// Full reports whether the batch must be sent before more is added.
func (b *Batch) Full() bool {
	return len(b.Events) >= batchEvents || len(b.bytes) >= batchBytes-wire.MaxRaw
}
