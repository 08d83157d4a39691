package eve

import (
	"container/list"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/decision"
)

// How long a record is held.
const (
	// captureWait is the minimum while a tap of the sensor reads a capture: it may be
	// far behind the log. Records are held no longer once it has disconnected.
	captureWait = 30 * time.Second
	// noTapWait is the maximum while the sensor has no tap: one may be about to
	// connect.
	noTapWait = 500 * time.Millisecond
	// finalReportLead is how long before the time limit the shards have to decide on
	// the packets there are.
	finalReportLead = 250 * time.Millisecond
)

// The end is reported to the shards again after firstReportInterval, and then after
// twice as long each time, up to maxReportInterval.
const (
	firstReportInterval = 50 * time.Millisecond
	maxReportInterval   = time.Second
)

// The bounds of held records.
const (
	// heldSize is the memory of a record besides its line.
	heldSize = 512
	// maxHeldOfFlow is the most records held for one flow: one for each output of
	// Suricata. More would only make each lookup slower.
	maxHeldOfFlow = 16
	// maxEndReports is the most end reports queued for busy shards. Others are
	// sent later, while their record waits.
	maxEndReports = 1 << 16
)

// held is a flow record that waits for its label.
type held struct {
	record         // of line
	line           []byte
	end            []byte // of line
	since          time.Time
	nextReport     time.Time // when the end is to be reported again
	reportInterval time.Duration
	finalReport    time.Time     // when finalEndReport was sent, zero: not yet
	queueElem      *list.Element // in the queue; nil: released
	label          label         // its own, if words is set
	words          *decision.Words
	// The previous and the next record of the same flow.
	older, newer *held
}

func (h *held) size() int { return heldSize + len(h.line) + len(h.end) }

// waiting is the held records. Every step under the sink's lock takes bounded time,
// whatever records come, because shards wait for that lock.
type waiting struct {
	queue      list.List        // of *held, the longest waiting first
	next       *list.Element    // where expire continues, nil: at the front
	byFlow     map[uint64]*held // the newest of each flow
	bytes      int              // memory of the held records
	maxBytes   int              // that they may take
	ready      []*held          // released, to be written
	endReports []flow.Event     // to be sent to the shards
}

func newWaiting(maxBytes int) waiting {
	return waiting{byFlow: map[uint64]*held{}, maxBytes: maxBytes}
}

// add holds a record. If that makes too many, the oldest of its flow or of all are
// released without a label.
func (w *waiting) add(h *held, most int) {
	oldest, same := w.byFlow[h.flow], 1
	for ; oldest != nil && oldest.older != nil; same++ {
		oldest = oldest.older
	}
	if same >= maxHeldOfFlow {
		w.release(oldest)
	}
	for w.queue.Len() > 0 && (w.queue.Len() >= most || w.bytes+h.size() > w.maxBytes) {
		w.release(w.queue.Front().Value.(*held))
	}
	h.queueElem = w.queue.PushBack(h)
	if h.older = w.byFlow[h.flow]; h.older != nil {
		h.older.newer = h
	}
	w.byFlow[h.flow] = h
	w.bytes += h.size()
	w.queueEndReport(h.endReport())
}

// queueEndReport queues an end for the shards.
func (w *waiting) queueEndReport(e flow.Event) {
	if len(w.endReports) < maxEndReports {
		w.endReports = append(w.endReports, e)
	}
}

// answer releases the records held for a label, and returns one of them, nil if
// there are none.
func (w *waiting) answer(l *label, words *decision.Words) (one *held) {
	for h := w.byFlow[l.flow]; h != nil; {
		older := h.older
		if l.matches(h.start) {
			h.label, h.words, one = *l, words, h
			w.release(h)
		}
		h = older
	}
	return one
}

// release lets a record be written.
func (w *waiting) release(h *held) {
	if w.next == h.queueElem {
		w.next = h.queueElem.Next()
	}
	w.queue.Remove(h.queueElem)
	h.queueElem = nil
	w.bytes -= h.size()
	switch {
	case h.newer != nil:
		h.newer.older = h.older
	case h.older != nil:
		w.byFlow[h.flow] = h.older
	default:
		delete(w.byFlow, h.flow)
	}
	if h.older != nil {
		h.older.newer = h.newer
	}
	h.older, h.newer = nil, nil
	w.ready = append(w.ready, h)
}

// expire checks up to most records: it releases those that have been held for limit
// and queues due end reports. It returns whether more are to be checked by the next
// call, and whether a record was released without a label.
func (w *waiting) expire(now time.Time, limit time.Duration, most int) (more, vain bool) {
	answer := min(finalReportLead, limit/4)
	if w.next == nil {
		w.next = w.queue.Front()
	}
	for ; w.next != nil && most > 0; most-- {
		h := w.next.Value.(*held)
		w.next = w.next.Next()
		switch {
		case !h.finalReport.IsZero():
			if now.Sub(h.finalReport) >= answer {
				w.release(h)
				vain = true
			}
		case now.Sub(h.since) >= limit-answer:
			h.finalReport = now
			w.queueEndReport(h.finalEndReport())
		case !now.Before(h.nextReport):
			h.reportInterval = min(2*h.reportInterval, maxReportInterval)
			h.nextReport = now.Add(h.reportInterval)
			w.queueEndReport(h.endReport())
		}
	}
	return w.next != nil, vain
}

// finalEndReport makes the shards decide on the packets there are.
func (h *held) finalEndReport() flow.Event {
	e := h.endReport()
	e.OrigPkts, e.RespPkts = 0, 0
	return e
}

// takeReady returns the released records.
func (w *waiting) takeReady() []*held {
	ready := w.ready
	w.ready = nil
	return ready
}

// takeEndReports returns the queued end reports.
func (w *waiting) takeEndReports() []flow.Event {
	asks := w.endReports
	w.endReports = nil
	return asks
}

// releaseAll releases all records.
func (w *waiting) releaseAll() {
	for e := w.queue.Front(); e != nil; e = w.queue.Front() {
		w.release(e.Value.(*held))
	}
}
