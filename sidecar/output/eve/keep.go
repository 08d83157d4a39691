package eve

import (
	"bytes"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/sink"
)

// find returns the label of a record's flow, if it is known; its words are nil
// otherwise. A flow record without one is held, if records wait at all.
func (s *Sink) find(r *record, body, end []byte) (l label, words *sink.Words, holds bool) {
	if l, words = s.known(r); words != nil || !r.ends {
		return l, words, false
	}
	if s.options.Wait == 0 {
		s.mu.Lock()
		s.waiting.askFor(r.closed())
		s.mu.Unlock()
		wake(s.ask)
		return l, nil, false
	}
	now := time.Now()
	h := &held{line: bytes.Clone(body), end: bytes.Clone(end), since: now, ask: now.Add(askPause), pause: askPause}
	h.read(h.line)

	s.mu.Lock()
	if found := s.labels.find(&h.record); found != nil { // it has come meanwhile
		l, words = *found, s.labels.words[found.words]
		s.labels.end(h.flow, now)
		s.mu.Unlock()
		return l, words, false
	}
	s.waiting.add(h, s.options.MaxWaiting)
	ready := len(s.waiting.ready) > 0
	s.mu.Unlock()
	wake(s.ask)
	if ready { // whoever makes records too many writes those that go
		s.writeReady()
	}
	s.options.Metrics.EVEWaited()
	return l, nil, true
}

// known returns the label of a record's flow, if it is known.
func (s *Sink) known(r *record) (l label, words *sink.Words) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.labels.find(r)
	if found == nil {
		return l, nil
	}
	l, words = *found, s.labels.words[found.words]
	if r.ends {
		s.labels.end(r.flow, time.Now())
	}
	return l, words
}

// keep writes records that have waited, and sees to time.
func (s *Sink) keep() {
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			s.expire(now)
		case <-s.work:
		}
		s.writeReady()
	}
}

// writeReady writes the records that wait no longer.
func (s *Sink) writeReady() {
	s.mu.Lock()
	ready := s.waiting.takeReady()
	s.mu.Unlock()
	s.write(ready)
}

// What is done at most while nobody else can have the lock.
const (
	maxForget = 4096 // labels that are forgotten
	maxLook   = 1024 // records that are looked at
)

func (s *Sink) expire(now time.Time) {
	limit := s.options.Wait
	taps, capture := s.flows.Taps(s.options.Sensor)
	switch {
	case taps == 0:
		limit = min(limit, absentWait)
	case capture:
		limit = max(limit, captureWait)
	}
	s.mu.Lock()
	s.labels.expire(now, maxForget)
	vain := s.expireWaiting(now, limit)
	s.tapped = s.tapped || taps > 0
	lonely := vain && !s.tapped && !s.lonely
	s.lonely = s.lonely || lonely
	asks := len(s.waiting.asks) > 0
	s.mu.Unlock()
	if asks {
		wake(s.ask)
	}
	if lonely {
		s.options.Log.Warn().Str("sensor", s.options.Sensor).
			Msg("EVE records come, but no tap of their sensor: is eve.sensor the name that the tap in Suricata gives itself?")
	}
}

// expireWaiting does what is due for the records that wait. It holds the lock when
// it is called and when it returns, and lets others have it in between.
func (s *Sink) expireWaiting(now time.Time, limit time.Duration) (vain bool) {
	for {
		more, late := s.waiting.expire(now, limit, maxLook)
		vain = vain || late
		if !more {
			return vain
		}
		s.mu.Unlock()
		s.mu.Lock()
	}
}

// tell tells the shards what is to be told. It has a goroutine of its own, for
// shards may be behind.
func (s *Sink) tell() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.ask:
		}
		s.mu.Lock()
		asks := s.waiting.takeAsks()
		s.mu.Unlock()
		if len(asks) > 0 {
			s.flows.Closed(s.options.Sensor, asks)
		}
	}
}

// lastAsks is what the shards are to be told before they end.
func (s *Sink) lastAsks() (asks []flow.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.waiting.queue.Front(); e != nil; e = e.Next() {
		asks = append(asks, e.Value.(*held).lastClosed())
	}
	return asks
}

// write writes records that have waited.
func (s *Sink) write(ready []*held) {
	var out []byte
	var n [telemetry.EVEResults]uint64
	lines := int64(0)
	for _, h := range ready {
		if h.words != nil {
			out = h.splice(out, h.line, &h.label, h.words)
			n[telemetry.EVEEnriched]++
		} else {
			out = append(out, h.line...)
			n[telemetry.EVENoLabel]++
		}
		out = append(out, h.end...)
		if lines++; len(out) >= chunk {
			s.out.Add(out, lines)
			out, lines = out[:0], 0
		}
	}
	if lines > 0 {
		s.out.Add(out, lines)
	}
	for result, n := range n {
		s.options.Metrics.EVERecords(telemetry.EVE(result), n)
	}
}
