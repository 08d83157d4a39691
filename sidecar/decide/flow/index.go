package flow

import (
	"hash/maphash"

	"serveflow/sidecar/tap/wire"
)

// index finds flows by their keys: open addressing with linear probing, and part of a
// key's hash beside its flow, so that a probe reads no record but, as a rule, the right
// one. The seed keeps a tap from choosing ids that collide.
type index struct {
	slots []slot
	shift uint // of a hash, to the place where its probes begin
	flows int
	seed  maphash.Seed
}

// slot is empty if its flow is None.
type slot struct {
	hash uint32
	flow Ref
}

const firstSlots = 64

func newIndex() index {
	return index{slots: make([]slot, firstSlots), shift: 32 - 6, seed: maphash.MakeSeed()}
}

// hash is that of a key in this index; its upper bits are the place.
func (x *index) hash(sensor uint32, id *wire.FlowID) uint32 {
	return uint32((id.SeededHash(x.seed) ^ uint64(sensor)) * 0x9e3779b97f4a7c15 >> 32)
}

// find returns the flow with a key and its hash, or None.
func (x *index) find(t *Table, sensor uint32, id *wire.FlowID, hash uint32) Ref {
	last := len(x.slots) - 1
	for i := int(hash >> x.shift); ; i = (i + 1) & last {
		s := x.slots[i]
		if s.flow == None {
			return None
		}
		if s.hash == hash {
			if k := &t.At(s.flow).Key; k.ID == *id && k.Sensor == sensor {
				return s.flow
			}
		}
	}
}

// guess returns the first flow with a hash, or None.
func (x *index) guess(hash uint32) Ref {
	last := len(x.slots) - 1
	for i := int(hash >> x.shift); ; i = (i + 1) & last {
		if s := x.slots[i]; s.flow == None || s.hash == hash {
			return s.flow
		}
	}
}

// add adds a flow that is not there. At most three of four slots are in use.
func (x *index) add(hash uint32, r Ref) {
	if x.flows++; 4*x.flows > 3*len(x.slots) {
		x.grow()
	}
	x.put(slot{hash, r})
}

func (x *index) put(s slot) {
	last := len(x.slots) - 1
	i := int(s.hash >> x.shift)
	for x.slots[i].flow != None {
		i = (i + 1) & last
	}
	x.slots[i] = s
}

// grow doubles the slots. They are ordered by hash, but for collisions, so that the
// new ones are filled from the first to the last.
func (x *index) grow() {
	old := x.slots
	x.slots = huge(make([]slot, 2*len(old)))
	x.shift--
	for _, s := range old {
		if s.flow != None {
			x.put(s)
		}
	}
}

// remove removes a flow that is there, and closes the gap.
func (x *index) remove(hash uint32, r Ref) {
	last := len(x.slots) - 1
	gap := int(hash >> x.shift)
	for x.slots[gap].flow != r {
		gap = (gap + 1) & last
	}
	x.flows--
	for i := gap; ; {
		i = (i + 1) & last
		s := x.slots[i]
		if s.flow == None {
			break
		}
		// A slot that its probes reach before the gap stays where it is.
		if probes := (i - int(s.hash>>x.shift)) & last; probes >= (i-gap)&last {
			x.slots[gap], gap = s, i
		}
	}
	x.slots[gap] = slot{}
}
