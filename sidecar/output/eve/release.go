package eve

import (
	"bytes"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/decision"
)

// labelOrHold returns the label of a record's flow; words are nil if it is not
// known. Then a flow record is held, unless eve.wait is 0.
func (s *Sink) labelOrHold(r *record, body, end []byte) (l label, words *decision.Words, holds bool) {
	if l, words = s.labelOf(r); words != nil || !r.ends {
		return l, words, false
	}
	if s.options.Wait == 0 {
		s.mu.Lock()
		s.waiting.queueEndReport(r.endReport())
		s.mu.Unlock()
		wake(s.reportWanted)
		return l, nil, false
	}
	now := time.Now()
	h := &held{line: bytes.Clone(body), end: bytes.Clone(end), since: now, nextReport: now.Add(firstReportInterval), reportInterval: firstReportInterval}
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
	wake(s.reportWanted)
	if ready { // whoever makes records too many writes those that go
		s.writeReady()
	}
	s.options.Metrics.Count(telemetry.EVEWaited, 1)
	return l, nil, true
}

// labelOf returns the label of a record's flow, if it is known.
func (s *Sink) labelOf(r *record) (l label, words *decision.Words) {
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

// releaseLoop writes held records once they are released, and runs the timers.
func (s *Sink) releaseLoop() {
	tick := time.NewTicker(firstReportInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			s.expire(now)
		case <-s.releaseWanted:
		}
		s.writeReady()
	}
}

// writeReady writes the released records.
func (s *Sink) writeReady() {
	s.mu.Lock()
	ready := s.waiting.takeReady()
	s.mu.Unlock()
	s.write(ready)
}

// The most items handled under one hold of the lock.
const (
	maxExpire     = 4096 // labels removed
	maxExpireHeld = 1024 // held records checked
)

func (s *Sink) expire(now time.Time) {
	limit := s.options.Wait
	taps, capture := s.flows.Taps(s.options.Sensor)
	switch {
	case taps == 0:
		limit = min(limit, noTapWait)
	case capture:
		limit = max(limit, captureWait)
	}
	s.mu.Lock()
	s.labels.expire(now, maxExpire)
	vain := s.expireHeld(now, limit)
	s.hadTap = s.hadTap || taps > 0
	lonely := vain && !s.hadTap && !s.warnedNoTap
	s.warnedNoTap = s.warnedNoTap || lonely
	asks := len(s.waiting.endReports) > 0
	s.mu.Unlock()
	if asks {
		wake(s.reportWanted)
	}
	if lonely {
		s.options.Log.Warn().Str("sensor", s.options.Sensor).
			Msg("EVE records arrive but no tap of their sensor is connected: eve.sensor must be the sensor name that the tap in Suricata sends")
	}
}

// expireHeld runs the timers of the held records. It is called with the lock,
// returns with it, and releases it in between.
func (s *Sink) expireHeld(now time.Time, limit time.Duration) (vain bool) {
	for {
		more, late := s.waiting.expire(now, limit, maxExpireHeld)
		vain = vain || late
		if !more {
			return vain
		}
		s.mu.Unlock()
		s.mu.Lock()
	}
}

// reportLoop reports the ends of flows to the shards. It has its own goroutine,
// because shards may be busy.
func (s *Sink) reportLoop() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.reportWanted:
		}
		s.mu.Lock()
		asks := s.waiting.takeEndReports()
		s.mu.Unlock()
		if len(asks) > 0 {
			s.flows.EndReported(s.options.Sensor, asks)
		}
	}
}

// finalEndReports are the ends that are reported before the shards stop.
func (s *Sink) finalEndReports() (asks []flow.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.waiting.queue.Front(); e != nil; e = e.Next() {
		asks = append(asks, e.Value.(*held).finalEndReport())
	}
	return asks
}

// write writes released records.
func (s *Sink) write(ready []*held) {
	var out []byte
	lines := int64(0)
	for _, h := range ready {
		if h.words != nil {
			began := len(out)
			out = h.splice(out, h.line, &h.label, h.words)
			s.labelled(out[began:])
			s.options.Metrics.Count(telemetry.EVEEnriched, 1)
		} else {
			out = append(out, h.line...)
			s.options.Metrics.Count(telemetry.EVENoLabel, 1)
		}
		out = append(out, h.end...)
		if lines++; len(out) >= handOverBytes {
			s.out.Add(out, lines)
			out, lines = out[:0], 0
		}
	}
	if lines > 0 {
		s.out.Add(out, lines)
	}
}
