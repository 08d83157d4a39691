package eve

import (
	"container/list"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/sink"
)

// How long a record waits.
const (
	// captureWait is the least while the sensor's tap reads a capture: it may be
	// far behind, and is not waited for once it has hung up.
	captureWait = 30 * time.Second
	// absentWait is the most while the sensor has no tap: one may be about to
	// connect.
	absentWait = 500 * time.Millisecond
	// answerTime is how long before the end the shards are told to decide on
	// what there is.
	answerTime = 250 * time.Millisecond
)

// The shards are asked after askPause again, and then after twice as long each
// time, up to maxPause.
const (
	askPause = 50 * time.Millisecond
	maxPause = time.Second
)

// What records that wait may take.
const (
	// maxHeld is how many bytes all of them may.
	maxHeld = 64 << 20
	// heldSize is what a record takes besides its line.
	heldSize = 512
	// maxSame is how many records of one flow wait: one for each output of
	// Suricata. More only make every look at the flow longer.
	maxSame = 16
	// maxAsks is how much may wait to be sent to shards that are behind. What is
	// over it is sent later, as long as its record waits.
	maxAsks = 1 << 16
)

// held is a flow record that waits.
type held struct {
	record // of line
	line   []byte
	end    []byte // of line
	since  time.Time
	ask    time.Time // when the shards are to be asked again
	pause  time.Duration
	final  time.Time     // when they were asked to decide on what there is
	place  *list.Element // in the queue; nil: it waits no longer
	label  label         // its own, if words is set
	words  *sink.Words
	// The records of the same flow that came before it and after it.
	older, newer *held
}

func (h *held) size() int { return heldSize + len(h.line) + len(h.end) }

// waiting are the records that wait. Every step that is made under the sink's lock
// is bounded by a constant, whatever records come: shards wait for that lock.
type waiting struct {
	queue  list.List        // of *held, the longest waiting first
	next   *list.Element    // where expire goes on, nil: at the front
	byFlow map[uint64]*held // the newest of each flow
	bytes  int              // that they take
	ready  []*held          // that wait no longer and are to be written
	asks   []flow.Event     // what the shards are to be asked
}

func newWaiting() waiting { return waiting{byFlow: map[uint64]*held{}} }

// add makes a record wait. If that makes them too many, those that have waited
// longest are released without a label: of its flow, or of all.
func (w *waiting) add(h *held, most int) {
	oldest, same := w.byFlow[h.flow], 1
	for ; oldest != nil && oldest.older != nil; same++ {
		oldest = oldest.older
	}
	if same >= maxSame {
		w.release(oldest)
	}
	for w.queue.Len() > 0 && (w.queue.Len() >= most || w.bytes+h.size() > maxHeld) {
		w.release(w.queue.Front().Value.(*held))
	}
	h.place = w.queue.PushBack(h)
	if h.older = w.byFlow[h.flow]; h.older != nil {
		h.older.newer = h
	}
	w.byFlow[h.flow] = h
	w.bytes += h.size()
	w.askFor(h.closed())
}

// askFor notes what the shards are to be asked.
func (w *waiting) askFor(e flow.Event) {
	if len(w.asks) < maxAsks {
		w.asks = append(w.asks, e)
	}
}

// answer releases the records that wait for a label, and returns one of them, nil
// if there were none.
func (w *waiting) answer(l *label, words *sink.Words) (one *held) {
	for h := w.byFlow[l.flow]; h != nil; {
		older := h.older
		if l.fits(h.start) {
			h.label, h.words, one = *l, words, h
			w.release(h)
		}
		h = older
	}
	return one
}

// release ends a record's waiting.
func (w *waiting) release(h *held) {
	if w.next == h.place {
		w.next = h.place.Next()
	}
	w.queue.Remove(h.place)
	h.place = nil
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

// expire looks at up to most records and does what is due when a record may wait
// for so long: it releases records, and notes what the shards are to be asked. It
// returns whether there are more to be looked at, by the next call, and whether a
// record has waited in vain.
func (w *waiting) expire(now time.Time, limit time.Duration, most int) (more, vain bool) {
	answer := min(answerTime, limit/4)
	if w.next == nil {
		w.next = w.queue.Front()
	}
	for ; w.next != nil && most > 0; most-- {
		h := w.next.Value.(*held)
		w.next = w.next.Next()
		switch {
		case !h.final.IsZero():
			if now.Sub(h.final) >= answer {
				w.release(h)
				vain = true
			}
		case now.Sub(h.since) >= limit-answer:
			h.final = now
			w.askFor(h.lastClosed())
		case !now.Before(h.ask):
			h.pause = min(2*h.pause, maxPause)
			h.ask = now.Add(h.pause)
			w.askFor(h.closed())
		}
	}
	return w.next != nil, vain
}

// lastClosed lets the shards decide on what there is.
func (h *held) lastClosed() flow.Event {
	e := h.closed()
	e.OrigPkts, e.RespPkts = 0, 0
	return e
}

// takeReady returns the records that wait no longer.
func (w *waiting) takeReady() []*held {
	ready := w.ready
	w.ready = nil
	return ready
}

// takeAsks returns what the shards are to be asked.
func (w *waiting) takeAsks() []flow.Event {
	asks := w.asks
	w.asks = nil
	return asks
}

// releaseAll ends all waiting.
func (w *waiting) releaseAll() {
	for e := w.queue.Front(); e != nil; e = w.queue.Front() {
		w.release(e.Value.(*held))
	}
}
