package shard

import (
	"math"
	"runtime"
	"unsafe"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
)

// The shadow's side: it compares its labels with those of the shard that it follows.

// shadowing is what a shadow keeps of its flows besides their records.
type shadowing struct {
	// epochs count, for live sources and for captures, how often events were lost. A
	// flow that was open then is not judged: it may lack packets.
	epochs [2]uint32
	pairs  [][]pair // by flow.Ref, in chunks that never move
	labels []string // numbered from 1 on
	number map[string]uint32
	taken  int // verdicts of the batch that is handled
	// removed are flows that were removed before the other bundle's label had come.
	removed map[flow.Key]removedFlow
}

type removedFlow struct {
	first int64 // packet time of its first packet
	own   uint32
}

// maxRemoved bounds shadowing.removed: their labels come within a few batches.
const maxRemoved = 1 << 12

// pair is the state of a flow's comparison.
type pair struct {
	epoch       uint32
	served, own uint32 // labels, or undecided; 0: not there yet
}

// undecided stands for the label of a flow that no cascade has decided.
const undecided = ^uint32(0)

const chunkPairs = 4096

// PairBytes is what a shadow keeps of each flow besides.
const PairBytes = int(unsafe.Sizeof(pair{}))

func newShadowing() shadowing {
	return shadowing{labels: []string{""}, number: map[string]uint32{}, removed: map[flow.Key]removedFlow{}}
}

func (c *shadowing) at(r flow.Ref) *pair { return &c.pairs[r/chunkPairs][r%chunkPairs] }

// numberOf is a number for a label. A shadow may outlive many bundles, each with up to
// 4,096 labels of its own.
func (c *shadowing) numberOf(label string, decided bool) uint32 {
	if !decided {
		return undecided
	}
	n, ok := c.number[label]
	if !ok {
		n = uint32(len(c.labels))
		c.number[label], c.labels = n, append(c.labels, label)
	}
	return n
}

// shadowOpened begins the comparison of a flow.
func (s *Shard) shadowOpened(r flow.Ref, from *flow.Source) {
	if s.options.Leader == nil {
		return
	}
	c := &s.shadowing
	for int(r/chunkPairs) >= len(c.pairs) {
		c.pairs = append(c.pairs, make([]pair, chunkPairs))
	}
	*c.at(r) = pair{epoch: c.epochs[sourceKind(from)]}
}

// remove removes a flow from the table.
func (s *Shard) remove(r flow.Ref) {
	if s.options.Leader != nil {
		if p, c := s.shadowing.at(r), &s.shadowing; p.own != 0 && p.served == 0 {
			if len(c.removed) >= maxRemoved {
				clear(c.removed)
			}
			rec := s.table.At(r)
			c.removed[rec.Key] = removedFlow{rec.First, p.own}
		}
	}
	s.table.Remove(r)
}

// missedEvents reports whether a flow may lack packets because the shadow was not
// given them.
func (s *Shard) missedEvents(r flow.Ref, rec *flow.Record) bool {
	if s.options.Leader == nil {
		return false
	}
	p := s.shadowing.at(r)
	return p.epoch != s.shadowing.epochs[sourceKind(rec.Clock().Source)]
}

// skips reports whether a shadow leaves a batch out because the shard that it follows
// is busy, and notes what was left out before.
func (s *Shard) skips(b *flow.Batch) bool {
	if s.options.Leader == nil {
		return false
	}
	runtime.Gosched() // the shard that it follows goes first
	if b.Source == nil {
		return false
	}
	kind := sourceKind(b.Source)
	skip := kind == 0 && s.options.Leader.busy()
	if b.Lost || skip {
		s.shadowing.epochs[kind]++
	}
	if skip {
		s.options.Agreement.Shed(len(b.Events))
		s.takeVerdicts(b, math.MaxInt)
	}
	return skip
}

// tellLeader tells the shard that the shadow follows that there is room for captures.
func (s *Shard) tellLeader() {
	if l := s.options.Leader; l != nil {
		l.wake()
	}
}

// compare compares the label that a flow has got with that of the other bundle, or keeps
// it until that comes.
func (s *Shard) compare(r flow.Ref, rec *flow.Record, label string, byCascade bool) {
	if s.options.Leader == nil {
		s.noteVerdict(rec, label, byCascade)
		return
	}
	p := s.shadowing.at(r)
	if p.own = s.shadowing.numberOf(label, byCascade); p.served != 0 {
		s.count(p.served, p.own)
	}
}

// takeVerdicts compares the labels that came with a batch, up to those that the other
// bundle has given by so many events: a flow may be forgotten later in the batch.
func (s *Shard) takeVerdicts(b *flow.Batch, events int) {
	c := &s.shadowing
	for ; c.taken < len(b.Verdicts) && b.Verdicts[c.taken].After <= events; c.taken++ {
		v := &b.Verdicts[c.taken]
		r := s.table.Find(v.Key)
		served := s.shadowing.numberOf(v.Label, v.Decided)
		if r == flow.None || s.table.At(r).First != v.First {
			own := undecided
			if gone, ok := c.removed[v.Key]; ok && gone.first == v.First {
				own = gone.own
				delete(c.removed, v.Key)
			}
			s.count(served, own)
			continue
		}
		p := s.shadowing.at(r)
		if p.served = served; p.own != 0 {
			s.count(p.served, p.own)
		}
	}
	if events == math.MaxInt {
		c.taken = 0
	}
}

// count counts a flow that both bundles are done with.
func (s *Shard) count(served, own uint32) {
	c, a := &s.shadowing, s.options.Agreement
	switch {
	case served == undecided && own == undecided:
	case own == undecided:
		a.Count(c.labels[served], telemetry.ServedOnly)
	case served == undecided:
		a.Count(c.labels[own], telemetry.ShadowOnly)
	case served == own:
		a.Count(c.labels[served], telemetry.Agrees)
	default:
		a.Count(c.labels[served], telemetry.Differs)
	}
}
