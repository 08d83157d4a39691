package eve

import (
	"time"
	"unsafe"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
)

// labelLinger is how long a label is kept after its flow's record was written: other
// threads of Suricata may still write records of the flow.
const labelLinger = 10 * time.Second

// startTolerance is how much later than the label's flow the flow of a record may
// have started and still be the same, in microseconds.
const startTolerance = 2_000_000

// label is one decision. Labels hold no pointers: a million of them cost the
// garbage collector nothing.
type label struct {
	flow          uint64
	start         int64 // of the flow, in microseconds
	latency       int64
	ended         int64 // when the flow's record was written, 0: not yet
	score, margin float32
	packets       int32
	words         uint32 // number of its texts
	prev, next    uint32 // in its list; 0: none
}

// matches reports whether the label can be that of a record whose flow began at
// start, an EVE time or nothing. Suricata reuses flow ids.
func (l *label) matches(start []byte) bool {
	if start == nil {
		return true
	}
	us, ok := jsonl.Micros(start)
	return !ok || l.start+startTolerance >= us
}

// texts are what Words are made from.
type texts struct{ label, stage, model, reason, services string }

// labels are the decisions on one sensor's flows.
type labels struct {
	max   int
	index map[uint64]uint32 // place of each flow's label
	slab  [][]label         // in chunks, so that growing never copies
	used  uint32            // places ever used; place 0 is never used
	free  []uint32
	open  labelList // flows without a record, the oldest first
	ended labelList // those with one

	known map[texts]uint32
	words []*decision.Words
}

type labelList struct{ head, tail uint32 }

// LabelBytes is about what a sink takes for each label that it holds: the label, and
// its place in the index.
const LabelBytes = int(unsafe.Sizeof(label{})) + 40

// chunkLabels is how many labels a chunk of the slab holds.
const chunkLabels = 4096

func newLabels(max int) labels {
	return labels{max: max, index: map[uint64]uint32{}, used: 1, known: map[texts]uint32{}}
}

// put stores a decision, in place of an earlier one on the same flow. If that makes
// one too many, the oldest is removed.
func (s *labels) put(r *decision.Record) *label {
	id := r.Flow.Uint()
	at, ok := s.index[id]
	switch {
	case ok:
		s.unlink(at)
	case len(s.index) >= s.max:
		oldest := s.ended.head
		if oldest == 0 {
			oldest = s.open.head
		}
		s.remove(oldest)
	}
	if !ok {
		if n := len(s.free); n > 0 {
			at, s.free = s.free[n-1], s.free[:n-1]
		} else {
			at = s.used
			s.used++
			if int(at/chunkLabels) == len(s.slab) {
				s.slab = append(s.slab, make([]label, chunkLabels))
			}
		}
		s.index[id] = at
	}
	l := s.at(at)
	*l = label{
		flow: id, start: r.Start, latency: r.LatencyUS, score: r.Score, margin: r.Margin,
		packets: int32(r.Packets), words: s.textsNumber(r),
	}
	s.link(at)
	return l
}

func (s *labels) at(n uint32) *label { return &s.slab[n/chunkLabels][n%chunkLabels] }

// textsNumber is the number of a decision's texts.
func (s *labels) textsNumber(r *decision.Record) uint32 {
	t := texts{r.Label, r.Stage, r.Model, r.Reason, r.Services}
	n, ok := s.known[t]
	if !ok {
		w := decision.NewWords(r)
		n = uint32(len(s.words))
		s.known[t] = n
		s.words = append(s.words, &w)
	}
	return n
}

// find is the label of a record's flow, or nil.
func (s *labels) find(r *record) *label {
	at, ok := s.index[r.flow]
	if !ok || !s.at(at).matches(r.start) {
		return nil
	}
	return s.at(at)
}

// end notes that the record of a flow has been written.
func (s *labels) end(flow uint64, now time.Time) {
	if at, ok := s.index[flow]; ok {
		s.unlink(at)
		s.at(at).ended = now.UnixNano()
		s.link(at)
	}
}

// expire removes at most n labels whose flow ended at least labelLinger ago.
func (s *labels) expire(now time.Time, n int) {
	until := now.Add(-labelLinger).UnixNano()
	for ; n > 0 && s.ended.head != 0 && s.at(s.ended.head).ended <= until; n-- {
		s.remove(s.ended.head)
	}
}

func (s *labels) remove(at uint32) {
	s.unlink(at)
	delete(s.index, s.at(at).flow)
	s.free = append(s.free, at)
}

// listOf is the list that a label is in.
func (s *labels) listOf(at uint32) *labelList {
	if s.at(at).ended != 0 {
		return &s.ended
	}
	return &s.open
}

func (s *labels) link(at uint32) {
	q, l := s.listOf(at), s.at(at)
	l.prev, l.next = q.tail, 0
	if q.tail == 0 {
		q.head = at
	} else {
		s.at(q.tail).next = at
	}
	q.tail = at
}

func (s *labels) unlink(at uint32) {
	q, l := s.listOf(at), s.at(at)
	if l.prev == 0 {
		q.head = l.next
	} else {
		s.at(l.prev).next = l.next
	}
	if l.next == 0 {
		q.tail = l.prev
	} else {
		s.at(l.next).prev = l.prev
	}
}
