package flow

import (
	"math/bits"
	"slices"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// MaxPackets is the most packets of a flow that a table can hold.
const MaxPackets = 64

// Key names a flow: the sensor that saw it and the id it has there.
type Key struct {
	Sensor uint32
	ID     wire.FlowID
}

// hash is never 0.
func (k Key) hash() uint64 {
	return (k.ID.Hash()^uint64(k.Sensor)*0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9 | 1
}

// Ref is the place of a flow in its table; None is no flow.
type Ref uint32

// None is the Ref of no flow.
const None Ref = 0

// State says where a flow stands.
type State uint8

// The states of a flow.
const (
	NeedPackets State = iota // for packets
	Scoring                  // for a model that answers later
	Decided                  // kept only so that later packets open no new flow
)

// Record is what a table knows of a flow besides its packets. Its fields stand by the
// cache lines that are read together: what finds and orders flows, what every packet
// changes, and the rest.
type Record struct {
	Key    Key
	clock  *SourceClock
	link   link
	change uint64 // number of the flow's last change, counted over the whole table

	// LastSeen is when the newest event of the flow came, on its source's clock;
	// LastChange is the later of that and its last change of state.
	LastSeen, LastChange int64
	Last                 int64  // packet time of the newest packet
	OrigPkts, RespPkts   uint64 // highest counts seen
	seen                 uint64 // bit i: packet i+1 is held
	State                State
	Ended                bool // the IDS is done with it; set by Table.End
	Headerless           bool // its tap sees no headers
	MultiSource          bool // its events came from several sources
	Asked                bool // its stage is asked together with those of other flows, soon
	Stage                uint8
	// FirstPayload is the index of the first held packet that carries payload or
	// may carry it; 0: none.
	FirstPayload uint8
	// Bundle is the owner's own number for the bundle that the flow began with.
	Bundle         uint8
	BestStage      uint8 // that gave Best
	sizeClass      int8  // size of the block, -1: none
	maxPackets     uint8 // packets held at most
	payloadPackets uint8 // packets with payload that are held
	block          uint32

	First int64 // packet time of the first packet
	// ReplyTo is the last source of its events that wants labels, until it is
	// decided.
	ReplyTo *Source
	// Best is the best class so far, -1 before any, with its score and the margin to
	// the second best.
	Score, Margin float32
	Best          int16
	Tuple         packet.Tuple // from originator to responder, as the first packet had it
}

// queue is the queue of its clock that the flow stands in.
func (r *Record) queue() uint8 {
	switch {
	case r.State == Decided && r.Ended:
		return queueEnded
	case r.State == Decided:
		return queueDecided
	case r.seen&(r.seen-1) == 0:
		return queueSinglePacket
	}
	return queueSeveralPackets
}

// Silent says that the first packets of a flow of TCP or UDP carry no payload.
func (r *Record) Silent(packets int) bool {
	return (r.FirstPayload == 0 || int(r.FirstPayload) > packets) && (r.Tuple.Proto == packet.TCP || r.Tuple.Proto == packet.UDP)
}

// Clock is the clock of the source that the flow was last seen from.
func (r *Record) Clock() *SourceClock { return r.clock }

// records in one chunk of the slab: growing never copies.
const chunkRecords = 4096

// Table is the flows of one shard.
type Table struct {
	max       int
	maxOpen   int   // undecided flows
	openBytes int64 // that packets of undecided flows may take, 0: no matter
	decided   int
	index     index
	slab      [][]Record
	used      int // records ever handed out
	free      []Ref
	packets   packetSlab
	changes   uint64         // of flows
	clocks    []*SourceClock // that have flows
	removed   []uint64       // hashes of flows that were removed, each at its place
	read      uint64         // by ReadAhead, so that it reads
}

// NewTable returns a table for at most max flows, which holds the first
// packets packets of each.
func NewTable(max, packets int) *Table {
	return &Table{max: max, maxOpen: max, index: newIndex(), packets: newPacketSlab(packets), used: 1, removed: huge(make([]uint64, max))}
}

// Len is the number of flows, decided ones included.
func (t *Table) Len() int { return t.index.flows }

// Full says that a flow must go before one can be opened.
func (t *Table) Full() bool { return t.index.flows >= t.max || t.fullOfOpen() }

// fullOfOpen says that an undecided flow must go.
func (t *Table) fullOfOpen() bool { return t.index.flows-t.decided >= t.maxOpen }

// SetMaxPackets sets the number of packets held of flows that are opened from now on.
func (t *Table) SetMaxPackets(packets int) {
	t.packets.grow(packets)
	t.limitOpen()
}

// SetPacketBytes bounds what packets may take, and with it the number of undecided
// flows: PacketBytes for each, and one flow at least.
func (t *Table) SetPacketBytes(n int64) {
	t.openBytes = n
	t.limitOpen()
}

func (t *Table) limitOpen() {
	if t.openBytes > 0 {
		t.maxOpen = int(max(min(t.openBytes/int64(t.packets.bytes()), int64(t.max)), 1))
	}
}

// Find returns the flow with that key, or None.
func (t *Table) Find(k Key) Ref {
	return t.index.find(t, k.Sensor, &k.ID, t.index.hash(k.Sensor, &k.ID))
}

// FindOf returns the flow of an event that ReadAhead was given, or None.
func (t *Table) FindOf(sensor uint32, e *Event) Ref {
	return t.index.find(t, sensor, &e.ID, e.hash)
}

// At is the record of a flow. It stays where it is until Remove.
func (t *Table) At(r Ref) *Record { return &t.slab[r/chunkRecords][r%chunkRecords] }

// Open adds a flow that is not there yet. The table must not be full.
func (t *Table) Open(k Key, c *SourceClock) Ref {
	var r Ref
	if n := len(t.free); n > 0 {
		r, t.free = t.free[n-1], t.free[:n-1]
	} else {
		r = Ref(t.used)
		t.used++
		if int(r/chunkRecords) == len(t.slab) {
			t.slab = append(t.slab, huge(make([]Record, chunkRecords)))
		}
	}
	rec := t.At(r)
	*rec = Record{Key: k, Best: -1, sizeClass: noBlock, clock: c, LastSeen: c.now, LastChange: c.now, maxPackets: uint8(t.packets.maxPackets)}
	if c.Source.Reply != nil {
		rec.ReplyTo = c.Source
	}
	t.index.add(t.index.hash(k.Sensor, &k.ID), r)
	t.join(c)
	t.push(r, rec)
	return r
}

// Remove forgets a flow.
func (t *Table) Remove(r Ref) {
	rec := t.At(r)
	t.remove(rec)
	t.packets.free(rec)
	if rec.State == Decided {
		t.decided--
	}
	t.leave(rec.clock)
	rec.clock = nil
	t.index.remove(t.index.hash(rec.Key.Sensor, &rec.Key.ID), r)
	t.free = append(t.free, r)
	hash := rec.Key.hash()
	*t.removedSlot(hash) = hash
}

// RecentlyRemoved reports whether a flow was removed recently. About as many
// removed flows are remembered as the table has room for.
func (t *Table) RecentlyRemoved(k Key) bool {
	hash := k.hash()
	return *t.removedSlot(hash) == hash
}

// removedSlot is where the hash of a removed flow is kept.
func (t *Table) removedSlot(hash uint64) *uint64 {
	i, _ := bits.Mul64(hash, uint64(len(t.removed)))
	return &t.removed[i]
}

// join counts a flow of a clock, leave counts one less.
func (t *Table) join(c *SourceClock) {
	if c.flows++; c.flows == 1 {
		t.clocks = append(t.clocks, c)
	}
}

func (t *Table) leave(c *SourceClock) {
	if c.flows--; c.flows == 0 {
		i := slices.Index(t.clocks, c)
		t.clocks[i] = t.clocks[len(t.clocks)-1]
		t.clocks[len(t.clocks)-1] = nil
		t.clocks = t.clocks[:len(t.clocks)-1]
	}
}

// Touch notes an event of the flow from the source with clock c, now.
func (t *Table) Touch(r Ref, c *SourceClock) {
	rec := t.At(r)
	t.remove(rec)
	if rec.clock != c {
		if rec.State == Scoring {
			rec.clock.scoring--
			c.scoring++
		}
		t.leave(rec.clock)
		t.join(c)
		rec.clock = c
		rec.MultiSource = true
		if c.Source.Reply != nil && rec.State != Decided {
			rec.ReplyTo = c.Source
		}
	}
	rec.LastSeen, rec.LastChange = c.now, c.now
	t.push(r, rec)
}

// SetState moves a flow to another state. A decided flow gives up its packets.
func (t *Table) SetState(r Ref, s State) {
	rec := t.At(r)
	t.remove(rec)
	if rec.State == Scoring {
		rec.clock.scoring--
	}
	if s == Decided && rec.State != Decided {
		t.decided++
	}
	rec.State, rec.LastChange = s, rec.clock.now
	switch s {
	case Scoring:
		rec.clock.scoring++
	case Decided:
		t.packets.free(rec)
		rec.seen = 0
	}
	t.push(r, rec)
}

// End notes that the IDS is done with a flow.
func (t *Table) End(r Ref) {
	rec := t.At(r)
	if rec.State != Decided || rec.Ended {
		rec.Ended = true
		return
	}
	t.remove(rec)
	rec.Ended = true
	t.push(r, rec)
}

// Held says whether packet index (from 1) of a flow is held.
func (t *Table) Held(r Ref, index uint64) bool {
	return index-1 < MaxPackets && t.At(r).seen&(1<<(index-1)) != 0
}

// Slot is the place for packet index (from 1) of a flow, to be filled in, or
// nil if that packet is held already or not wanted. No other packet of the
// table may be looked at until the flow's next Packets.
func (t *Table) Slot(r Ref, index uint64) *packet.Packet {
	rec := t.At(r)
	if index == 0 || index > uint64(rec.maxPackets) || rec.seen&(1<<(index-1)) != 0 {
		return nil
	}
	p := t.packets.slot(rec, int(index-1))
	if rec.seen != 0 && rec.queue() == queueSinglePacket {
		t.remove(rec)
		rec.seen |= 1 << (index - 1)
		rec.LastChange = rec.clock.now
		t.push(r, rec)
	} else {
		rec.seen |= 1 << (index - 1)
	}
	return p
}

// NotePayload notes that the packet just filled in at an index carries payload, if it
// does, and says whether models may look at its bytes: at those of the first
// packets with payload.
func (t *Table) NotePayload(r Ref, index uint64) bool {
	rec := t.At(r)
	p := &t.packets.block(rec)[index-1]
	if p.Payload == 0 {
		return false
	}
	if rec.FirstPayload == 0 || uint64(rec.FirstPayload) > index {
		rec.FirstPayload = uint8(index)
	}
	rec.payloadPackets++
	return rec.payloadPackets <= packet.MaxShapes
}

// Packets are the flow's packets from the first up to the first that is
// missing. They may be looked at until the next Slot or Remove.
func (t *Table) Packets(r Ref) []packet.Packet {
	rec := t.At(r)
	return t.packets.block(rec)[:bits.TrailingZeros64(^rec.seen)]
}

// EvictionCandidate is the flow to remove when the table is full: the least
// recently seen of the decided flows that have ended, else of the other decided ones,
// else of those with one packet, else of the rest; None if every flow is in Scoring.
// Where there are too many undecided flows, a decided one is no help.
func (t *Table) EvictionCandidate() Ref {
	for q := range numQueues {
		if q <= queueDecided && t.fullOfOpen() {
			continue
		}
		r := None
		for _, c := range t.clocks {
			r = t.earlier(r, c.queues[q].head)
		}
		if r != None {
			return r
		}
	}
	return None
}
