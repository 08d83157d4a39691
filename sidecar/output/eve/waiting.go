package eve

import (
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

// The shards are told after askPause again, and then after twice as long each
// time, up to maxPause.
const (
	askPause = 50 * time.Millisecond
	maxPause = time.Second
)

// maxHeld is how many bytes the records that wait may take.
const maxHeld = 64 << 20

// held is a flow record that waits.
type held struct {
	record // of line
	line   []byte
	end    []byte // of line
	since  time.Time
	ask    time.Time // when the shards are to be told again
	pause  time.Duration
	final  time.Time // when they were told to decide on what there is
	done   bool      // it waits no longer
	label  label     // its own, if words is set
	words  *sink.Words
	same   *held // of the same flow
}

// waiting are the records that wait.
type waiting struct {
	queue  []*held          // by age; done ones are taken out now and then
	byFlow map[uint64]*held // those that are not done
	n      int              // that are not done
	bytes  int              // of their lines
	ready  []*held          // done, to be written
	asks   []flow.Event     // what the shards are to be told
}

func newWaiting() waiting { return waiting{byFlow: map[uint64]*held{}} }

// add makes a record wait. If that makes them too many, those that have waited
// longest are released without a label.
func (w *waiting) add(h *held, most int) {
	for w.n > 0 && (w.n >= most || w.bytes+len(h.line) > maxHeld) {
		if oldest := w.queue[0]; !oldest.done {
			w.release(oldest)
		}
		w.queue = w.queue[1:]
	}
	w.queue = append(w.queue, h)
	h.same = w.byFlow[h.flow]
	w.byFlow[h.flow] = h
	w.n++
	w.bytes += len(h.line)
	w.asks = append(w.asks, h.closed())
}

// answer releases the records that wait for a label, and returns one of them, nil
// if there were none.
func (w *waiting) answer(l *label, words *sink.Words) (one *held) {
	for h := w.byFlow[l.flow]; h != nil; {
		next := h.same
		if l.fits(h.start) {
			h.label, h.words, one = *l, words, h
			w.release(h)
		}
		h = next
	}
	return one
}

// release ends a record's waiting.
func (w *waiting) release(h *held) {
	h.done = true
	w.n--
	w.bytes -= len(h.line)
	at := w.byFlow[h.flow]
	switch {
	case at != h:
		for at.same != h {
			at = at.same
		}
		at.same = h.same
	case h.same != nil:
		w.byFlow[h.flow] = h.same
	default:
		delete(w.byFlow, h.flow)
	}
	w.ready = append(w.ready, h)
}

// expire does what is due when a record may wait for so long: it releases
// records, and notes what the shards are to be told. It says whether a record
// has waited in vain.
func (w *waiting) expire(now time.Time, limit time.Duration) (vain bool) {
	answer := min(answerTime, limit/4)
	left := w.queue[:0]
	for _, h := range w.queue {
		switch {
		case h.done:
		case !h.final.IsZero():
			if now.Sub(h.final) >= answer {
				w.release(h)
				vain = true
			}
		case now.Sub(h.since) >= limit-answer:
			h.final = now
			w.asks = append(w.asks, h.lastClosed())
		case !now.Before(h.ask):
			h.pause = min(2*h.pause, maxPause)
			h.ask = now.Add(h.pause)
			w.asks = append(w.asks, h.closed())
		}
		if !h.done {
			left = append(left, h)
		}
	}
	clear(w.queue[len(left):])
	w.queue = left
	return vain
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

// takeAsks returns what the shards are to be told.
func (w *waiting) takeAsks() []flow.Event {
	asks := w.asks
	w.asks = nil
	return asks
}

// releaseAll ends all waiting.
func (w *waiting) releaseAll() {
	for _, h := range w.queue {
		if !h.done {
			w.release(h)
		}
	}
	w.queue = nil
}
