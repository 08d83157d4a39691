package flow

import (
	"math/bits"

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
	Waiting State = iota // for packets
	Pending              // for a model that answers later
	Decided              // kept only so that later packets open no new flow
)

// Novel is the guess that a flow is of no class.
const Novel = -2

// Record is what a table knows of a flow besides its packets.
type Record struct {
	Key   Key
	Tuple packet.Tuple // from originator to responder, as the first packet had it
	First int64        // packet time of the first packet
	Last  int64        // packet time of the newest packet
	// Heard is when the flow was last heard of, on its lane's clock; Touched
	// is that, or when it last changed its state.
	Heard, Touched     int64
	OrigPkts, RespPkts uint64 // highest counts seen

	State State
	Ended bool // the IDS is done with it
	Meta  bool // its tap sees no headers
	Stage uint8
	// Spoke is the index of the first packet with payload, or of which it is not
	// known, as far as packets are held; 0: none.
	Spoke uint8
	// Guess is the best class so far, -1 before any and Novel if it is none of
	// them, with its score and the margin to the second best; GuessStage is the
	// stage that gave it.
	Guess      int16
	GuessStage uint8
	// Bundle is the owner's own number for the bundle that the flow began with.
	Bundle        uint8
	Score, Margin float32

	// ReplyTo is the last source of its events that wants labels, until it is
	// decided.
	ReplyTo *Source
	Moved   bool // its events came from several sources

	lane   *Lane
	links  [2]link
	seen   uint64 // bit i: packet i+1 is held
	block  uint32
	class  int8 // size of the block, -1: none
	queue  uint8
	wants  uint8 // packets held at most
	shapes uint8 // packets with payload that are held
}

// Silent says that the first packets of a flow of TCP or UDP carry no payload.
func (r *Record) Silent(packets int) bool {
	return (r.Spoke == 0 || int(r.Spoke) > packets) && (r.Tuple.Proto == packet.TCP || r.Tuple.Proto == packet.UDP)
}

// Lane is the lane that the flow was last heard of on.
func (r *Record) Lane() *Lane { return r.lane }

// records in one chunk of the slab: growing never copies.
const chunkRecords = 4096

// Table is the flows of one shard.
type Table struct {
	max   int
	index map[Key]Ref
	slab  [][]Record
	used  int // records ever handed out
	free  []Ref
	packs packs
	ages  [ages]list
	gone  []uint64 // hashes of flows that were removed, each at its place
}

// NewTable returns a table for at most max flows, which holds the first
// packets packets of each.
func NewTable(max, packets int) *Table {
	return &Table{max: max, index: make(map[Key]Ref), packs: newPacks(packets), used: 1, gone: make([]uint64, max)}
}

// Len is the number of flows, decided ones included.
func (t *Table) Len() int { return len(t.index) }

// Full says that a flow must go before one can be opened.
func (t *Table) Full() bool { return len(t.index) >= t.max }

// Want sets the number of packets held of flows that are opened from now on.
func (t *Table) Want(packets int) { t.packs.grow(packets) }

// Find returns the flow with that key, or None.
func (t *Table) Find(k Key) Ref { return t.index[k] }

// At is the record of a flow. It stays where it is until Remove.
func (t *Table) At(r Ref) *Record { return &t.slab[r/chunkRecords][r%chunkRecords] }

// Open adds a flow that is not there yet. The table must not be full.
func (t *Table) Open(k Key, l *Lane) Ref {
	var r Ref
	if n := len(t.free); n > 0 {
		r, t.free = t.free[n-1], t.free[:n-1]
	} else {
		r = Ref(t.used)
		t.used++
		if int(r/chunkRecords) == len(t.slab) {
			t.slab = append(t.slab, make([]Record, chunkRecords))
		}
	}
	rec := t.At(r)
	*rec = Record{Key: k, Guess: -1, class: noBlock, lane: l, Heard: l.now, Touched: l.now, queue: ageNew, wants: uint8(t.packs.want)}
	if l.Source.Reply != nil {
		rec.ReplyTo = l.Source
	}
	t.index[k] = r
	l.flows++
	t.push(r, rec)
	return r
}

// Remove forgets a flow.
func (t *Table) Remove(r Ref) {
	rec := t.At(r)
	t.pull(r, rec)
	t.packs.free(rec)
	rec.lane.flows--
	rec.lane = nil
	delete(t.index, rec.Key)
	t.free = append(t.free, r)
	hash := rec.Key.hash()
	*t.trace(hash) = hash
}

// Forgot says whether a flow was removed of late: about as many are remembered
// as the table has room for.
func (t *Table) Forgot(k Key) bool {
	hash := k.hash()
	return *t.trace(hash) == hash
}

// trace is where a removed flow leaves its hash.
func (t *Table) trace(hash uint64) *uint64 {
	i, _ := bits.Mul64(hash, uint64(len(t.gone)))
	return &t.gone[i]
}

// Touch notes that the flow was heard of on lane l, now.
func (t *Table) Touch(r Ref, l *Lane) {
	rec := t.At(r)
	t.pull(r, rec)
	if rec.lane != l {
		rec.lane.flows--
		l.flows++
		rec.lane = l
		rec.Moved = true
		if l.Source.Reply != nil && rec.State != Decided {
			rec.ReplyTo = l.Source
		}
	}
	rec.Heard, rec.Touched = l.now, l.now
	t.push(r, rec)
}

// SetState moves a flow to another state. A decided flow gives up its packets.
func (t *Table) SetState(r Ref, s State) {
	rec := t.At(r)
	t.pull(r, rec)
	if rec.State == Pending {
		rec.lane.pending--
	}
	rec.State, rec.Touched = s, rec.lane.now
	switch s {
	case Pending:
		rec.lane.pending++
	case Decided:
		t.packs.free(rec)
		rec.seen = 0
		rec.queue = ageDecided
	}
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
	if index == 0 || index > uint64(rec.wants) || rec.seen&(1<<(index-1)) != 0 {
		return nil
	}
	p := t.packs.slot(rec, int(index-1))
	rec.seen |= 1 << (index - 1)
	if rec.queue == ageNew && rec.seen&(rec.seen-1) != 0 {
		if rec.State != Pending {
			t.ages[ageNew].pull(t, byAge, r)
			t.ages[ageGrown].push(t, byAge, r)
		}
		rec.queue = ageGrown
	}
	return p
}

// Speaks notes that the packet just filled in at an index carries payload, if it
// does, and says whether models may look at its bytes: at those of the first
// packets with payload.
func (t *Table) Speaks(r Ref, index uint64) bool {
	rec := t.At(r)
	p := &t.packs.block(rec)[index-1]
	if p.Payload == 0 {
		return false
	}
	if rec.Spoke == 0 || uint64(rec.Spoke) > index {
		rec.Spoke = uint8(index)
	}
	rec.shapes++
	return rec.shapes <= packet.MaxShapes
}

// Packets are the flow's packets from the first up to the first that is
// missing. They may be looked at until the next Slot or Remove.
func (t *Table) Packets(r Ref) []packet.Packet {
	rec := t.At(r)
	return t.packs.block(rec)[:bits.TrailingZeros64(^rec.seen)]
}

// Spare is the flow to give up when the table is full: the longest unheard of
// among the decided, else among those with one packet, else among the rest.
// None if every flow is pending.
func (t *Table) Spare() Ref {
	for _, q := range [...]uint8{ageDecided, ageNew, ageGrown} {
		if r := t.ages[q].head; r != None {
			return r
		}
	}
	return None
}
