// Package shard decides flows. A shard is one goroutine that owns a part of the
// flows: it takes batches of events, stores the first packets of each flow, asks
// the cascade when a stage has the packets it needs, and makes exactly one decision
// for each flow, which it gives to the label log and to the tap if that wants labels.
// A Pool owns all shards.
//
// For each packet a shard takes no lock and allocates nothing. A live flow never makes
// it wait. A flow of a capture makes it wait for a busy batched stage and, when the
// shard ends, for some seconds at most, for its shadow.
package shard

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/suppress"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

// Log takes decisions. It is called by several shards at once and must not wait.
type Log interface {
	Write([]decision.Record)
}

// RecentlyDecided is the set of flows that were decided before the sidecar started.
type RecentlyDecided interface {
	Has(sensor string, id wire.FlowID) bool
}

// Options configure a shard.
type Options struct {
	Bundle          *servedBundle   // that it begins with
	MaxFlows        int             // at least 1
	PacketBytes     int64           // that the packets of undecided flows may take; 0: no bound
	IdleTimeout     time.Duration   // an undecided flow without packets for so long is decided on the packets there are
	Retention       time.Duration   // a decided flow without packets for so long is removed
	Deadline        time.Duration   // a live flow waits no longer than this for a slow stage
	Payload         bool            // models may use the first bytes of payload
	Suppress        *suppress.Rules // or nil
	Queue           int             // batches that may be queued of each kind; 0: QueueBatches
	Log             Log
	RecentlyDecided RecentlyDecided // or nil
	Metrics         *telemetry.Shard
	// OnError is called when a model fails. The flow is decided without it.
	OnError func(error)
	// OnLoad is called when the load state of the shard changes, or nil.
	OnLoad func(telemetry.Cell)
	// Leader is the shard whose flows this one decides again, as its shadow, and
	// Agreement counts how their labels compare; both nil: it is none.
	Leader    *Shard
	Agreement *telemetry.Agreement
	// Limit is what the shard looks at of each flow, if a tap sends more for another
	// bundle; nil or empty: at everything.
	Limit *atomic.Pointer[wire.Welcome]
}

// Shard owns a part of the flows. Make it with New, then call Run.
type Shard struct {
	in                     chan *flow.Batch // of live taps and of logs
	captures               chan *flow.Batch
	installs               chan *shardBundle
	batchedAnswers         chan *cascade.Job[pending]
	options                Options
	idleTimeout, retention int64                    // microseconds
	bundles                [MaxBundles]*shardBundle // by flow.Record.Bundle
	newestBundle           uint8                    // the bundle that new flows begin with
	slow                   slowQueue
	gathered               gathered
	answered               time.Time // when the answer came that is handled; zero: none is
	waits                  waits
	table                  *flow.Table
	clocks                 map[*flow.Source]*flow.SourceClock
	headers                packet.Headers
	start                  time.Time
	turn                   time.Time    // since when batches have followed each other; zero: none is queued
	lastTick               atomic.Int64 // ns from start to the last tick
	records                []decision.Record
	replies                []wire.Label
	replyTo                *flow.Source
	limit                  wire.Welcome // of the batch that is handled
	following              following
	shadowing              shadowing
}

// QueueBatches is how many batches may be queued in each of a shard's Queues before the
// connection that sends the next one blocks.
const (
	QueueBatches = 64
	Queues       = 2 // of live taps and logs, of captures
)

// captureTurn is how often captures get a turn while there are live events: one
// batch in so many.
const captureTurn = 8

// minAnswers is the least capacity of the channel of batched answers.
const minAnswers = 256

// tickEvery is how often a shard runs its timers when no events come.
const tickEvery = 50 * time.Millisecond

// New returns a shard. Run must be called next.
func New(o Options) (*Shard, error) {
	queue := cmp.Or(o.Queue, QueueBatches)
	s := &Shard{
		in:             make(chan *flow.Batch, queue),
		captures:       make(chan *flow.Batch, queue),
		limit:          unlimited,
		installs:       make(chan *shardBundle, 1),
		batchedAnswers: make(chan *cascade.Job[pending], max(o.Bundle.Batchers.jobs(), minAnswers)),
		options:        o,
		idleTimeout:    o.IdleTimeout.Microseconds(),
		retention:      o.Retention.Microseconds(),
		slow:           slowQueue{admission: newAdmission(o.Deadline), reported: telemetry.LoadSteady},
		table:          flow.NewTable(o.MaxFlows, o.Bundle.Bundle.Packets()),
		clocks:         map[*flow.Source]*flow.SourceClock{},
		start:          time.Now(),
		following:      newFollowing(),
		shadowing:      newShadowing(),
	}
	p, err := s.newBundle(o.Bundle)
	if err != nil {
		return nil, err
	}
	s.install(p)
	s.table.SetPacketBytes(o.PacketBytes)
	return s, nil
}

// Depth is the number of queued batches.
func (s *Shard) Depth() int { return len(s.in) + len(s.captures) }

// LastTick is when the shard last ran its timers, which it does many times a second
// while it is alive. No change of the system's clock moves it.
func (s *Shard) LastTick() time.Time { return s.start.Add(time.Duration(s.lastTick.Load())) }

// Run handles batches until stop is closed, then those still queued, and then
// gives every open flow the best label it has so far.
func (s *Shard) Run(stop <-chan struct{}) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for turn := 0; ; {
		var idle <-chan struct{} // nil: there is nothing to catch up with
		if s.slow.len > 0 {
			idle = closedChannel
		}
		// Live batches go first, except for one in captureTurn.
		if turn++; turn%captureTurn != 0 {
			select {
			case b := <-s.in:
				s.handleBatch(b)
				s.adjustLoad()
				s.flush()
				s.yield()
				continue
			default:
			}
		}
		captures := s.captures
		if s.holdsCaptures() {
			captures = nil
		}
		select {
		case b := <-s.in:
			s.handleBatch(b)
		case b := <-captures:
			s.handleBatch(b)
			s.tellLeader()
		case <-s.following.room: // captures may go on
		case <-stop:
			s.drain()
			return s.closeBundles()
		case j := <-s.batchedAnswers:
			s.handleBatchedAnswer(j)
		case p := <-s.installs:
			s.install(p)
		case <-tick.C:
			s.tick()
		case <-idle:
			if s.Depth() == 0 {
				s.runSlow()
			}
		}
		s.adjustLoad()
		s.flush()
		s.yield()
	}
}

// closedChannel is always ready to receive from.
var closedChannel = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// wallTime is the wall clock of live sources: monotonic microseconds since the
// shard was made, which no change of the system's clock moves.
func (s *Shard) wallTime(t time.Time) int64 { return t.Sub(s.start).Microseconds() }

func (s *Shard) tick() {
	now := time.Now()
	s.waits.turn(now)
	s.waits.note(s.slow.oldestWait(now))
	for source, clock := range s.clocks {
		clock.AdvanceWall(s.wallTime(now))
		s.expire(clock, now)
		if clock.Unused() || s.options.Leader != nil && clock.Flows() == 0 { // a shadow may miss the end of a source
			delete(s.clocks, source)
		}
	}
	s.passVerdicts()
	s.scoreUnlessBusy()
	s.publishDrift()
	s.closeUnused()
	s.options.Metrics.Set(telemetry.Flows, s.table.Len())
	s.lastTick.Store(int64(now.Sub(s.start)))
}

func (s *Shard) handleBatch(b *flow.Batch) {
	arrived, taken := b.Arrived, time.Now()
	if s.skips(b) {
		b.Release()
		return
	}
	if l := s.options.Limit; l != nil {
		s.limit = *cmp.Or(l.Load(), &unlimited)
	}
	if b.OutOfBand {
		for i := range b.Events {
			s.handleEndReported(b.Source, &b.Events[i], b.Arrived)
		}
	} else if b.Source != nil {
		s.handleTapBatch(b)
	}
	s.takeVerdicts(b, math.MaxInt)
	s.pass(b)
	s.scoreUnlessBusy()
	s.options.Metrics.Wait(telemetry.WaitQueue, taken.Sub(arrived))
	s.options.Metrics.Wait(telemetry.WaitShard, time.Since(taken))
}

// unlimited is no limit to what is looked at of a flow.
var unlimited = wire.Welcome{Packets: math.MaxInt, RawBytes: math.MaxInt, PayloadBytes: math.MaxInt}

func (s *Shard) handleTapBatch(b *flow.Batch) {
	clock := s.clocks[b.Source]
	if clock == nil {
		clock = flow.NewSourceClock(b.Source, s.wallTime(b.Arrived))
		s.clocks[b.Source] = clock
	}
	clock.AdvanceWall(s.wallTime(b.Arrived))
	if !b.Source.Capture {
		s.waits.note(time.Since(b.Arrived))
	}
	for i := range b.Events {
		if i%flow.Ahead == 0 {
			s.table.ReadAhead(b.Source.SensorID, b.Events[i:])
		}
		e := &b.Events[i]
		if s.gathered.flows > 0 && b.Source.Capture && e.Time >= s.gathered.until {
			s.scoreGathered()
		}
		s.takeVerdicts(b, i)
		clock.AdvancePacket(e.Time)
		s.expire(clock, b.Arrived)
		s.following.handled = i + 1 // after expire: a shadow forgets flows by the same step of the clock
		s.handleEvent(clock, b, e)
	}
	if b.Barrier != nil {
		s.handleBarrier(clock, b.Barrier, b.Arrived)
	}
	if b.SourceClosed {
		clock.Detach(s.table, s.wallTime(time.Now()))
	}
}

// captureReordering is by how much packet times of a capture may step back from one
// flow to the next without changing a label.
const captureReordering = 1_000_000 // µs

// endedRetention is for how long a decided flow stays that the IDS is done with. Of its
// late packets the table knows that it was removed.
const endedRetention = 1_000_000 // µs

// expire decides the idle flows of a source and removes the stale ones. In a
// capture, a flow's idle timeout depends on its own packet times alone, see
// expireIfIdle; those of other flows only trigger the check.
func (s *Shard) expire(clock *flow.SourceClock, now time.Time) {
	after := s.idleTimeout
	if clock.Source.Capture {
		after += captureReordering
	}
	for {
		r := clock.Idle(s.table, after)
		if r == flow.None {
			break
		}
		if s.table.At(r).Asked {
			s.scoreGathered()
			continue
		}
		s.finish(r, trigger{reason: cascade.Timeout, packetTime: s.table.At(r).Last + s.idleTimeout, arrived: now})
	}
	for {
		r := clock.Stale(s.table, s.retention, min(s.retention, endedRetention))
		if r == flow.None {
			break
		}
		s.remove(r)
	}
}

// expireIfIdle decides a capture's flow in NeedPackets whose idle timeout had passed
// by packet time at, when its next event came.
func (s *Shard) expireIfIdle(r flow.Ref, at int64, arrived time.Time) bool {
	rec := s.table.At(r)
	if !rec.Clock().Source.Capture || at-rec.Last < s.idleTimeout {
		return false
	}
	s.finish(r, trigger{reason: cascade.Timeout, packetTime: rec.Last + s.idleTimeout, arrived: arrived})
	return true
}

// handleBarrier passes a SYNC: every flow that could be decided before it is.
func (s *Shard) handleBarrier(clock *flow.SourceClock, b *flow.Barrier, arrived time.Time) {
	s.drainPending(clock)
	if b.Final {
		for r := clock.Idle(s.table, 0); r != flow.None; r = clock.Idle(s.table, 0) {
			s.table.End(r)
			if !s.expireIfIdle(r, clock.Now(), arrived) {
				s.finish(r, trigger{reason: cascade.FlowEnd, packetTime: clock.Now(), arrived: arrived})
			}
		}
		s.drainPending(clock)
		clock.EndDecided(s.table)
	}
	s.flush()
	b.Arrive()
}

// drainPending handles the answers of all models that flows of the source wait for.
func (s *Shard) drainPending(clock *flow.SourceClock) {
	s.scoreGathered()
	for clock.Scoring() > 0 {
		if s.slow.len > 0 {
			s.askOldestQueued()
		} else {
			s.handleBatchedAnswer(<-s.batchedAnswers)
		}
	}
}

// drain handles what is queued and decides all open flows: no more events come.
func (s *Shard) drain() {
	s.following.patience = shadowPatience
	for _, in := range []chan *flow.Batch{s.in, s.captures} {
		for len(in) > 0 {
			s.handleBatch(<-in)
		}
	}
	now := time.Now()
	for _, clock := range s.clocks {
		s.drainPending(clock)
		for r := clock.Idle(s.table, 0); r != flow.None; r = clock.Idle(s.table, 0) {
			s.decideBestSoFar(r, trigger{reason: cascade.Evicted, packetTime: clock.Now(), arrived: now})
		}
	}
	s.flush()
	s.passLast()
}

// flush sends the decisions made since the last flush.
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
