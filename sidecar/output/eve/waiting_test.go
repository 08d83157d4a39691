package eve

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/decision"
)

const maxHeldBytes = 64 << 20

// A flow record waits for its label; nothing else does, not even for that
// flow. Its end is reported until the label is there.
func TestFlowRecordWaits(t *testing.T) {
	r := start(t, nil)
	r.send(flowRecord(1), flowRecord(2), alert(1), stats)
	r.want(alert(1), stats)
	r.until("another end report", func() bool { n, _ := r.endReports(1); return n >= 3 })
	if n, final := r.endReports(2); n == 0 || final > 0 || r.Waiting() != 2 {
		t.Errorf("%d end reports, %d final ones; %d wait", n, final, r.Waiting())
	}
	r.put(2)
	r.want(alert(1), stats, with(flowRecord(2), 2))
	r.put(1)
	r.want(alert(1), stats, with(flowRecord(2), 2), with(flowRecord(1), 1))
	r.send(alert(1)) // the label is kept a little longer
	r.want(alert(1), stats, with(flowRecord(2), 2), with(flowRecord(1), 1), with(alert(1), 1))
	if r.Waiting() != 0 {
		t.Errorf("%d wait", r.Waiting())
	}
}

// The shards decide as soon as the end is reported.
func TestToldFlowIsDecided(t *testing.T) {
	r := start(t, nil)
	r.decide = func(e flow.Event) { r.put(e.ID.Uint()) }
	var want []string
	for id := range uint64(20) {
		r.send(flowRecord(id + 1))
		want = append(want, with(flowRecord(id+1), id+1))
		r.want(want...)
	}
}

// Two records of one flow, as of two outputs to one socket, get one label.
func TestTwoRecordsOfAFlow(t *testing.T) {
	r := start(t, nil)
	r.send(flowRecord(1), flowRecord(1), flowRecord(2), flowRecord(1))
	r.until("all wait", func() bool { return r.Waiting() == 4 })
	r.put(1, 2)
	r.until("all written", func() bool { return len(r.lines()) == 4 })
	for _, line := range r.lines() {
		if line != with(flowRecord(1), 1) && line != with(flowRecord(2), 2) {
			t.Error(line)
		}
	}
}

// A label of an earlier flow with that id is not the one that is waited for.
func TestLabelOfAnEarlierFlow(t *testing.T) {
	r := start(t, nil)
	later := strings.ReplaceAll(flowRecord(1), "22:13", "22:14")
	r.put(1)
	r.send(later)
	r.until("it waits", func() bool { return r.Waiting() == 1 })
	r.put(1)
	if r.Waiting() != 1 {
		t.Error("it got another flow's label")
	}
	d := decided(1)
	d.Start += 60_000_000
	r.Write([]decision.Record{d})
	r.until("it is written", func() bool { return len(r.lines()) == 1 })
	if got := r.lines()[0]; got != with(later, 1) {
		t.Error(got)
	}
}

// After its time a record is written without; before that, the shards have
// to decide on what there is.
func TestWaitIsBoundedInTime(t *testing.T) {
	for name, test := range map[string]struct {
		wait    time.Duration
		taps    int
		capture bool
		least   time.Duration
	}{
		"live":   {time.Second, 1, false, time.Second},
		"no tap": {20 * time.Second, 0, false, noTapWait},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(o *Options) { o.Wait = test.wait })
			r.mu.Lock()
			r.taps = test.taps
			r.mu.Unlock()
			before := time.Now()
			r.send(flowRecord(1))
			r.want(flowRecord(1))
			if took := time.Since(before); took < test.least*3/4 || took > 10*time.Second {
				t.Errorf("it waited %v", took)
			}
			patient, final := r.endReports(1)
			if final != 1 || patient < 2 || patient > 10 {
				t.Errorf("%d end reports, %d final ones", patient, final)
			}
		})
	}
}

// That there is no tap at all is said, once.
func TestNoTapIsSaid(t *testing.T) {
	for _, taps := range []int{0, 1} {
		said := &said{}
		r := start(t, func(o *Options) { o.Wait, o.Log = 100*time.Millisecond, zerolog.New(said) })
		r.mu.Lock()
		r.taps = taps
		r.mu.Unlock()
		r.send(flowRecord(1))
		r.want(flowRecord(1))
		r.send(flowRecord(2))
		r.want(flowRecord(1), flowRecord(2))
		if n := said.count("eve.sensor"); n != 1-taps {
			t.Errorf("with %d taps it was said %d times", taps, n)
		}
	}
}

// said is a log.
type said struct {
	mu  sync.Mutex
	log []byte
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, b...)
	return len(b), nil
}

func (s *said) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(string(s.log), what)
}

// The decision on what there is comes in time.
func TestLastWord(t *testing.T) {
	r := start(t, func(o *Options) { o.Wait = 500 * time.Millisecond })
	r.decide = func(e flow.Event) {
		if e.Index() == 0 {
			go r.put(e.ID.Uint())
		}
	}
	r.send(flowRecord(1))
	r.want(with(flowRecord(1), 1))
}

// While its tap reads a capture a record waits for longer, and no longer than
// until the tap has hung up.
func TestCapture(t *testing.T) {
	r := start(t, func(o *Options) { o.Wait = 100 * time.Millisecond })
	r.mu.Lock()
	r.capture = true
	r.mu.Unlock()
	r.send(flowRecord(1), flowRecord(2))
	time.Sleep(time.Second)
	if r.Waiting() != 2 {
		t.Fatalf("%d wait", r.Waiting())
	}
	r.put(2)
	r.want(with(flowRecord(2), 2))
	r.mu.Lock()
	r.taps, r.capture = 0, false
	r.mu.Unlock()
	r.want(with(flowRecord(2), 2), flowRecord(1))
	if _, final := r.endReports(1); final != 1 {
		t.Errorf("%d final end reports", final)
	}
}

// With no time to wait a record is written at once; the flow has ended all the
// same.
func TestNoWait(t *testing.T) {
	r := start(t, func(o *Options) { o.Wait = 0 })
	r.send(flowRecord(1), stats)
	r.want(flowRecord(1), stats)
	r.until("an end report", func() bool { n, _ := r.endReports(1); return n == 1 })
}

// Past their number the records that have waited longest go first; they get no
// label that comes later.
func TestWaitIsBoundedInNumber(t *testing.T) {
	r := start(t, func(o *Options) { o.MaxWaiting = 3 })
	for id := range uint64(5) {
		r.send(flowRecord(id + 1))
		r.until("it is there", func() bool { n, _ := r.endReports(id + 1); return n > 0 })
	}
	r.want(flowRecord(1), flowRecord(2))
	r.put(1, 2, 4)
	r.want(flowRecord(1), flowRecord(2), with(flowRecord(4), 4))
	r.send(flowRecord(6), flowRecord(7))
	r.want(flowRecord(1), flowRecord(2), with(flowRecord(4), 4), flowRecord(3))
	if r.Waiting() != 3 {
		t.Errorf("%d wait", r.Waiting())
	}
}

// So do they past their bytes.
func TestWaitIsBoundedInBytes(t *testing.T) {
	w := newWaiting(maxHeldBytes)
	line := make([]byte, maxHeldBytes/4-heldSize)
	for id := range uint64(6) {
		w.add(&held{record: record{flow: id + 1}, line: line}, 100)
	}
	var out []uint64
	for _, h := range w.takeReady() {
		out = append(out, h.flow)
	}
	if !slices.Equal(out, []uint64{1, 2}) || w.queue.Len() != 4 || w.bytes != maxHeldBytes {
		t.Errorf("released %v; %d wait, of %d bytes", out, w.queue.Len(), w.bytes)
	}
}

// However many records of one flow come, few of them wait, so that no look at the
// flow under the lock is long.
func TestRecordsOfOneFlow(t *testing.T) {
	w := newWaiting(maxHeldBytes)
	const n = 10_000
	for range n {
		w.add(&held{record: record{flow: 1, start: []byte(`"2099-01-01T00:00:00+0000"`)}}, 1<<20)
	}
	if waits := w.queue.Len(); waits != maxHeldOfFlow {
		t.Errorf("%d records wait", waits)
	}
	if ready := len(w.takeReady()); ready != n-maxHeldOfFlow {
		t.Errorf("%d were released", ready)
	}
	steps := 0
	for h := w.byFlow[1]; h != nil; h = h.older {
		steps++
	}
	if steps != maxHeldOfFlow {
		t.Errorf("an answer looks at %d records", steps)
	}
	w.releaseAll()
	if w.queue.Len() != 0 || len(w.byFlow) != 0 || w.bytes != 0 {
		t.Errorf("left: %d records, %d flows, %d bytes", w.queue.Len(), len(w.byFlow), w.bytes)
	}
}

// What is due is looked for in slices, between which others have the lock, and all
// records get their turn, also where some go between two slices.
func TestExpireInSlices(t *testing.T) {
	w, begun := newWaiting(maxHeldBytes), time.Now()
	const n = 64
	all := make([]*held, n)
	for i := range all {
		all[i] = &held{record: record{flow: uint64(i)}, since: begun, nextReport: begun.Add(time.Hour)}
		w.add(all[i], 1<<20)
	}
	w.takeEndReports()
	late := begun.Add(time.Minute)
	slices := 0
	for more := true; more; slices++ {
		more, _ = w.expire(late, time.Second, 16)
		if asks := len(w.takeEndReports()); asks > 16 {
			t.Fatalf("%d records were looked at", asks)
		}
		if more { // the next one is answered meanwhile
			w.answer(&label{flow: w.next.Value.(*held).flow, start: 1 << 60}, nil)
		}
	}
	for i, h := range all {
		if h.queueElem != nil && h.finalReport.IsZero() {
			t.Errorf("record %d had no turn", i)
		}
	}
	if slices < 4 {
		t.Errorf("only %d slices", slices)
	}
}

// Shards that are behind are sent no more than a bounded number of questions.
func TestAsksAreBounded(t *testing.T) {
	var w waiting
	for range maxEndReports + 100 {
		w.queueEndReport(flow.Event{})
	}
	if n := len(w.takeEndReports()); n != maxEndReports {
		t.Errorf("%d wait", n)
	}
}

// Shards that stand still hold up neither reading nor time.
func TestShardsThatStandStill(t *testing.T) {
	r := start(t, func(o *Options) { o.Wait = 300 * time.Millisecond })
	still := make(chan struct{})
	r.decide = func(flow.Event) {
		r.mu.Unlock()
		<-still
		r.mu.Lock()
	}
	r.send(flowRecord(1))
	r.until("an end report", func() bool { n, _ := r.endReports(1); return n > 0 })
	r.send(flowRecord(2), alert(3))
	r.want(alert(3), flowRecord(1), flowRecord(2))
	close(still)
}
