// Package shard decides flows. A shard is one goroutine that owns its share of
// the flows: it takes batches of events, keeps the flows' first packets, asks
// the cascade when a stage has what it needs, and gives every flow exactly one
// decision, to the label log and back to the tap.
//
// On a packet's way a shard takes no lock and allocates nothing. It waits for
// nobody but, for captures, a batched stage that is busy.
package shard

import (
	"sync/atomic"
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/sink"
	"serveflow/sidecar/tap/wire"
)

// Log takes decisions. It is called by several shards at once and does not
// wait.
type Log interface {
	Write([]sink.Record)
}

// Known tells which flows were decided before the sidecar started.
type Known interface {
	Has(sensor string, id wire.FlowID) bool
}

// Options are what a shard is made of.
type Options struct {
	Service  *Service      // that it begins with
	MaxFlows int           // at least 1
	Quiet    time.Duration // a flow unheard of for so long is decided on what there is
	Forget   time.Duration // a decided flow unheard of for so long is forgotten
	Deadline time.Duration // a live flow waits no longer than this for a slow stage
	Payload  bool          // the first bytes of payload may be looked at
	Log      Log
	Known    Known // or nil
	Metrics  *telemetry.Shard
	// OnError is told of a model that failed. The flow is decided without.
	OnError func(error)
	// OnLoad is told when the shard begins to bend more or less, or nil.
	OnLoad func(telemetry.Load)
}

// Shard is one share of the flows. Make it with New, then call Run.
type Shard struct {
	in            chan *flow.Batch // of live taps and of logs
	captures      chan *flow.Batch
	next          chan *Share
	answered      chan *cascade.Job[pending]
	options       Options
	quiet, forget int64               // microseconds
	shares        [MaxServices]*Share // by flow.Record.Bundle
	newest        uint8               // the share that new flows go to
	load          load
	table         *flow.Table
	lanes         map[*flow.Source]*flow.Lane
	headers       packet.Headers
	start         time.Time
	beat          atomic.Int64 // ns from start to the last tick
	records       []sink.Record
	replies       []wire.Label
	replyTo       *flow.Source
}

// queueBatches is how many batches may wait for a shard before the connection
// that brings the next one has to wait.
const queueBatches = 64

// captureShare is how often captures, which can wait, get a turn while there are
// live events.
const captureShare = 8

// minAnswers is how many answers of batched stages may wait for a shard at least.
const minAnswers = 256

// tickEvery is how often a shard looks at its clocks when no events come.
const tickEvery = 50 * time.Millisecond

// New returns a shard that has still to be run.
func New(o Options) (*Shard, error) {
	s := &Shard{
		in:       make(chan *flow.Batch, queueBatches),
		captures: make(chan *flow.Batch, queueBatches),
		next:     make(chan *Share, 1),
		answered: make(chan *cascade.Job[pending], max(o.Service.Batchers.jobs(), minAnswers)),
		options:  o,
		quiet:    o.Quiet.Microseconds(),
		forget:   o.Forget.Microseconds(),
		load:     load{admission: newAdmission(o.Deadline)},
		table:    flow.NewTable(o.MaxFlows, o.Service.Bundle.Packets()),
		lanes:    map[*flow.Source]*flow.Lane{},
		start:    time.Now(),
	}
	p, err := s.Prepare(o.Service)
	if err != nil {
		return nil, err
	}
	s.take(p)
	return s, nil
}

// Depth is the number of batches that wait.
func (s *Shard) Depth() int { return len(s.in) + len(s.captures) }

// Beat is when the shard last looked at its clocks, which it does many times a
// second while it is alive. No change of the system's clock moves it.
func (s *Shard) Beat() time.Time { return s.start.Add(time.Duration(s.beat.Load())) }

// Run deals with batches until stop is closed, and with those that wait then, and
// gives every flow that is still open the best label it has so far.
func (s *Shard) Run(stop <-chan struct{}) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for turn := 0; ; {
		var idle <-chan struct{} // nil: there is nothing to catch up with
		if s.load.len > 0 {
			idle = always
		}
		// Live batches go first, but for one in captureShare.
		if turn++; turn%captureShare != 0 {
			select {
			case b := <-s.in:
				s.batch(b)
				s.adjustLoad()
				s.flush()
				continue
			default:
			}
		}
		select {
		case b := <-s.in:
			s.batch(b)
		case b := <-s.captures:
			s.batch(b)
		case <-stop:
			s.drain()
			return s.closeShares()
		case j := <-s.answered:
			s.complete(j)
		case p := <-s.next:
			s.take(p)
		case <-tick.C:
			s.tick()
		case <-idle:
			if s.Depth() == 0 {
				s.catchUp()
			}
		}
		s.adjustLoad()
		s.flush()
	}
}

// always is never waited for.
var always = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// wall is the time on the wall clock that live lanes run on: microseconds
// since the shard was made, which no change of the system's clock moves.
func (s *Shard) wall(t time.Time) int64 { return t.Sub(s.start).Microseconds() }

func (s *Shard) tick() {
	now := time.Now()
	for source, l := range s.lanes {
		l.Tick(s.wall(now))
		s.expire(l, now)
		if l.Over() {
			delete(s.lanes, source)
		}
	}
	s.handOver()
	s.retire()
	s.options.Metrics.SetFlows(s.table.Len())
	s.beat.Store(int64(now.Sub(s.start)))
}

func (s *Shard) batch(b *flow.Batch) {
	defer b.Release()
	if b.Aside {
		for i := range b.Events {
			s.closed(b.Source, &b.Events[i], b.Arrived)
		}
		return
	}
	l := s.lanes[b.Source]
	if l == nil {
		l = flow.NewLane(b.Source, s.wall(b.Arrived))
		s.lanes[b.Source] = l
	}
	l.Tick(s.wall(b.Arrived))
	for i := range b.Events {
		e := &b.Events[i]
		l.Packet(e.Time)
		s.expire(l, b.Arrived)
		s.event(l, b, e)
	}
	if b.Barrier != nil {
		s.barrier(l, b.Barrier, b.Arrived)
	}
	if b.Gone {
		l.Orphan(s.table, s.wall(time.Now()))
	}
}

// disorder is by how much the packet times of a capture may step back from one
// flow to the next without any flow being told something else.
const disorder = 1_000_000 // µs

// expire decides what has gone quiet on a lane and forgets what is stale. What
// a capture's flow is told depends on the times of its own packets, see expireIfIdle;
// those of other flows only say when to look.
func (s *Shard) expire(l *flow.Lane, now time.Time) {
	after := s.quiet
	if l.Source.Capture {
		after += disorder
	}
	for {
		r := l.Quiet(s.table, after)
		if r == flow.None {
			break
		}
		s.finish(r, trigger{reason: cascade.Timeout, at: s.table.At(r).Last + s.quiet, arrived: now})
	}
	for {
		r := l.Stale(s.table, s.forget)
		if r == flow.None {
			break
		}
		s.table.Remove(r)
	}
}

// expireIfIdle decides a flow that is waiting if it is a capture's and was quiet for
// too long by the time that something happens to it.
func (s *Shard) expireIfIdle(r flow.Ref, at int64, arrived time.Time) bool {
	rec := s.table.At(r)
	if !rec.Lane().Source.Capture || at-rec.Last < s.quiet {
		return false
	}
	s.finish(r, trigger{reason: cascade.Timeout, at: rec.Last + s.quiet, arrived: arrived})
	return true
}

// barrier passes a SYNC: nothing that came before it may be left undecided
// that could be decided.
func (s *Shard) barrier(l *flow.Lane, b *flow.Barrier, arrived time.Time) {
	s.drainPending(l)
	if b.Final {
		for r := l.Quiet(s.table, 0); r != flow.None; r = l.Quiet(s.table, 0) {
			s.table.At(r).Ended = true
			if !s.expireIfIdle(r, l.Now(), arrived) {
				s.finish(r, trigger{reason: cascade.FlowEnd, at: l.Now(), arrived: arrived})
			}
		}
		s.drainPending(l)
		l.End(s.table)
	}
	s.flush()
	b.Arrive()
}

// drainPending waits for the models that flows of the lane have asked.
func (s *Shard) drainPending(l *flow.Lane) {
	for l.Pending() > 0 {
		if s.load.len > 0 {
			s.askNext()
		} else {
			s.complete(<-s.answered)
		}
	}
}

// drain empties the shard: there will be no more events.
func (s *Shard) drain() {
	for _, in := range []chan *flow.Batch{s.in, s.captures} {
		for len(in) > 0 {
			s.batch(<-in)
		}
	}
	now := time.Now()
	for _, l := range s.lanes {
		s.drainPending(l)
		for r := l.Quiet(s.table, 0); r != flow.None; r = l.Quiet(s.table, 0) {
			s.decideBestSoFar(r, trigger{reason: cascade.Evicted, at: l.Now(), arrived: now})
		}
	}
	s.flush()
}

// flush hands over the decisions made since the last time.
func (s *Shard) flush() {
	if len(s.records) > 0 {
		s.options.Log.Write(s.records)
		s.records = s.records[:0]
	}
	s.flushReplies()
}

func (s *Shard) flushReplies() {
	if len(s.replies) > 0 {
		s.replyTo.Reply.Labels(s.replies)
		s.replies = s.replies[:0]
	}
}
