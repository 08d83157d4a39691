package shard

import (
	"sync"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/tap/wire"
)

// Tap is what a connection says of itself in HELLO.
type Tap struct {
	Sensor  string
	Capture bool
	Run     string      // of a capture: the name of its run
	Reply   flow.Labels // nil: the tap wants no labels
	// Unparsed is called once, for the first packet that cannot be parsed; or nil.
	Unparsed func(error)
}

// Router sends events to the shards that own their flows. It may be used by many
// goroutines.
type Router struct {
	inputs   []Input
	stop     <-chan struct{}
	registry registry
}

// Input is the channels of a shard. Batches of captures wait for live ones.
type Input struct{ Live, Captures chan<- *flow.Batch }

// NewRouter returns a router to shards that take batches until stop is closed; what
// is sent later is dropped. Sensors without connections are remembered for the
// retention.
func NewRouter(inputs []Input, stop <-chan struct{}, retention time.Duration) *Router {
	return &Router{inputs: inputs, stop: stop, registry: registry{retention: retention}}
}

// Open registers a tap and returns its stream.
func (r *Router) Open(t Tap) *Stream {
	source := &flow.Source{
		Sensor: t.Sensor, SensorID: r.registry.connect(&t, time.Now()), Capture: t.Capture, Reply: t.Reply,
	}
	if t.Unparsed != nil {
		var once sync.Once
		source.Unparsed = func(err error) { once.Do(func() { t.Unparsed(err) }) }
	}
	return &Stream{router: r, tap: t, source: source, pending: make([]*flow.Batch, len(r.inputs))}
}

// Taps returns how many taps of a sensor are connected, and whether one of them
// reads a capture. A disconnected tap counts until the shards have handled
// everything it sent.
func (r *Router) Taps(sensor string) (n int, capture bool) { return r.registry.taps(sensor) }

// EndReported sends the shards the ends of a sensor's flows that a log of the IDS
// has reported: events of kind flow.EndReported. It waits for shards that are busy.
func (r *Router) EndReported(sensor string, events []flow.Event) {
	now := time.Now()
	for _, number := range r.registry.numbers(sensor) {
		s := Stream{
			router: r, pending: make([]*flow.Batch, len(r.inputs)), Arrived: now, outOfBand: true,
			source: &flow.Source{Sensor: sensor, SensorID: number},
		}
		for i := range events {
			*s.Add(events[i].ID, events[i].Time, nil) = events[i]
		}
		s.Flush()
	}
}

// Stream sends the events of one connection to the shards. It belongs to one
// goroutine.
type Stream struct {
	// Arrived is when the events that are added next were read.
	Arrived   time.Time
	router    *Router
	tap       Tap
	source    *flow.Source
	outOfBand bool
	pending   []*flow.Batch // one for each shard, nil when empty
	newest    int64         // packet time
}

// Add adds an event of a flow at a packet time, with its bytes, and returns it to
// be filled in before the next call.
func (s *Stream) Add(id wire.FlowID, time int64, bytes []byte) *flow.Event {
	b := s.batch(s.router.shardOf(id, s.source.SensorID))
	e := b.Add()
	e.ID, e.Time = id, time
	s.newest = max(s.newest, time)
	b.AddBytes(e, bytes)
	return e
}

// Clock sends a packet time to all shards.
func (s *Stream) Clock(time int64) {
	s.newest = max(s.newest, time)
	for i := range s.pending {
		e := s.batch(i).Add()
		e.Kind, e.Time = flow.ClockUpdate, s.newest
	}
}

// Barrier calls pass once all shards have handled what was added before. If final,
// the open flows of the stream are ended first.
func (s *Stream) Barrier(final bool, pass func()) {
	if final {
		s.Clock(s.newest) // by which open flows are ended
	}
	s.barrier(flow.NewBarrier(len(s.pending), final, pass), false)
}

// Close ends the stream. done is called once all shards have handled what was added
// before.
func (s *Stream) Close(done func()) {
	s.router.registry.endRun(&s.tap)
	s.barrier(flow.NewBarrier(len(s.pending), false, func() {
		s.router.registry.disconnect(&s.tap, time.Now())
		done()
	}), true)
}

func (s *Stream) barrier(b *flow.Barrier, gone bool) {
	for i := range s.pending {
		last := s.batch(i)
		last.Barrier, last.SourceClosed = b, gone
		s.send(i)
	}
}

// Flush sends what was added.
func (s *Stream) Flush() {
	for i, b := range s.pending {
		if b != nil {
			s.send(i)
		}
	}
}

// batch is the batch that the next event for a shard goes to.
func (s *Stream) batch(shard int) *flow.Batch {
	if b := s.pending[shard]; b != nil {
		if !b.Full() {
			return b
		}
		s.send(shard)
	}
	b := flow.NewBatch(s.source, s.Arrived)
	b.OutOfBand = s.outOfBand
	s.pending[shard] = b
	return b
}

func (s *Stream) send(shard int) {
	in := s.router.inputs[shard].Live
	if s.source.Capture {
		in = s.router.inputs[shard].Captures
	}
	select {
	case in <- s.pending[shard]:
	case <-s.router.stop:
	}
	s.pending[shard] = nil
}

// shardOf is the number of the shard that owns a flow.
func (r *Router) shardOf(id wire.FlowID, sensor uint32) int {
	// The upper half of the product spreads any hash evenly over any number.
	hash := (id.Hash() ^ uint64(sensor)*0x9e3779b97f4a7c15) >> 32
	return int(hash * uint64(len(r.inputs)) >> 32)
}
