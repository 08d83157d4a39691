package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"serveflow/sidecar/output/spool"
)

// Bounds of what is under way beside Options.Memory.
const (
	maxBatch  = 1_000_000 // bytes of a batch, before a broker has said that it takes less
	minBatch  = 1 << 10
	maxChunks = 1024
	overhead  = 128 // bytes of a record and a batch beside key and value, at most
)

// flight is a chunk under way, by one attempt.
type flight struct {
	chunk *spool.Chunk
	over  []bool       // records that a broker has, or never will; each is set once
	left  atomic.Int32 // the others
	acked bool
}

func newFlight(c *spool.Chunk) *flight { return &flight{chunk: c, over: make([]bool, c.Count)} }

// window is what is under way: chunks that the queue has given, in their order. Its
// bytes are bounded by half of Options.Memory, and one chunk.
type window struct {
	stream  *Stream
	flights []*flight
	bytes   int
	done    uint64 // chunks
}

// attempt sends what the window holds, and more, with one client.
type attempt struct {
	*window
	client   *kgo.Client
	produced sync.WaitGroup // records that the client has
	acked    chan *flight   // has room for all that are under way
	failed   chan error     // has room for one
	refused  atomic.Bool    // a batch was too large
}

// send makes a client, sends what the window holds, then what the queue gives. It
// returns nil when the queue is closed and all of it was sent, or an error after
// which nothing is under way any more.
func (w *window) send() error {
	s := w.stream
	opts, err := s.options.options()
	if err != nil {
		return err
	}
	a := &attempt{window: w, acked: make(chan *flight, maxChunks+1), failed: make(chan error, 1)}
	a.client, err = kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(s.codec),
		kgo.ProducerBatchMaxBytes(s.batch.Load()),
		kgo.MaxBufferedRecords(1<<30), // the window is the bound
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.UnknownTopicRetries(2),
		kgo.WithHooks(hooks{s}),
	)...)
	if err != nil {
		return err
	}
	defer a.produced.Wait() // the records are in the chunks' memory
	defer a.client.Close()
	if err := a.ping(); err != nil {
		return err
	}
	for i, f := range w.flights {
		if f.left.Load() == 0 { // all of it was taken, though not what came before
			f.acked = true
			continue
		}
		s.repeats.Add(uint64(f.left.Load()))
		w.flights[i] = &flight{chunk: f.chunk, over: f.over} // the other is the attempt's before
		a.produce(w.flights[i])
	}
	a.advance()
	err = a.run()
	if err != nil {
		ctx, cancel := context.WithTimeout(s.stop, pingTime)
		defer cancel()
		_ = a.client.Flush(ctx) // what is answered now is not sent again
	}
	return err
}

// How long nothing may come back before brokers are asked whether they are there.
const (
	silence  = 10 * time.Second
	pingTime = 5 * time.Second
)

// ping asks a broker whether it is there and knows who is asking.
func (a *attempt) ping() error {
	ctx, cancel := context.WithTimeout(a.stream.stop, pingTime)
	defer cancel()
	return a.client.Ping(ctx)
}

func (a *attempt) run() error {
	s := a.stream
	chunks := s.queue.Chunks()
	look := time.NewTicker(pingTime)
	defer look.Stop()
	last := time.Now() // when anything came back, or nothing was under way
	for chunks != nil || len(a.flights) > 0 {
		next := chunks
		if a.bytes >= s.options.Memory/2 || len(a.flights) >= maxChunks {
			next = nil
		}
		if len(a.flights) == 0 {
			last = time.Now()
		}
		select {
		case chunk, ok := <-next:
			if !ok {
				chunks = nil
				continue
			}
			f := newFlight(chunk)
			a.flights = append(a.flights, f)
			a.bytes += chunk.Bytes()
			a.produce(f)
		case f := <-a.acked:
			last = time.Now()
			f.acked = true
			a.advance()
			s.becomes(true, nil)
		case <-look.C:
			if time.Since(last) < silence {
				continue
			}
			err := a.ping()
			s.becomes(false, err)
			if errors.Is(err, kerr.SaslAuthenticationFailed) { // which may be mended on disk
				return err
			}
		case err := <-a.failed:
			return err
		case <-s.stop.Done():
			return s.stop.Err()
		}
	}
	return nil
}

// produce gives the records of a chunk to the client, but for those that brokers have
// already. They become the client's, until it has said of each what became of it.
func (a *attempt) produce(f *flight) {
	left := 0
	for _, over := range f.over {
		if !over {
			left++
		}
	}
	f.left.Store(int32(left))
	next := 0
	for item := range f.chunk.Items() {
		i := next
		if next++; f.over[i] {
			continue
		}
		kind, key, value, err := decode(item)
		if err != nil {
			a.stream.drops[dropDamaged].Add(1)
			a.settle(f, i)
			continue
		}
		r := &kgo.Record{Topic: a.stream.options.Topic, Key: key, Value: value}
		if !a.stream.aged.Load() {
			r.Timestamp = f.chunk.Arrived
		}
		if kind == kindEVE {
			r.Topic = a.stream.options.EVETopic
		}
		if r.Topic == "" { // left by a run that sent such records
			a.stream.drops[dropNoTopic].Add(1)
			a.settle(f, i)
			continue
		}
		a.produced.Add(1)
		a.client.Produce(a.stream.stop, r, func(r *kgo.Record, err error) { a.became(f, i, r, err) })
	}
}

// became takes what became of record i of a flight.
func (a *attempt) became(f *flight, i int, r *kgo.Record, err error) {
	defer a.produced.Done()
	s := a.stream
	switch {
	case err == nil:
		s.sent.Add(1)
		a.settle(f, i)
		return
	case errors.Is(err, kerr.MessageTooLarge):
		most := s.batch.Load()
		if len(r.Key)+len(r.Value)+overhead > int(most) || most <= minBatch {
			s.drops[dropTooLarge].Add(1)
			a.settle(f, i)
			return
		}
		if !a.refused.Swap(true) { // it concerns all records of the partition
			s.batch.Store(max(most/2, minBatch))
		}
		err = errRefused
	case errors.Is(err, kerr.InvalidTimestamp):
		s.aged.Store(true)
	}
	select {
	case a.failed <- fmt.Errorf("topic %s: %w", r.Topic, err):
	default: // the first counts
	}
}

// settle notes that nothing is left to do for record i of a flight.
func (a *attempt) settle(f *flight, i int) {
	f.over[i] = true
	if f.left.Add(-1) == 0 {
		a.acked <- f
	}
}

// advance lets go of what brokers have, in order.
func (a *attempt) advance() {
	n := 0
	for n < len(a.flights) && a.flights[n].acked {
		a.bytes -= a.flights[n].chunk.Bytes()
		a.stream.queue.Done(a.flights[n].chunk)
		n++
	}
	a.done += uint64(n)
	rest := copy(a.flights, a.flights[n:])
	clear(a.flights[rest:])
	a.flights = a.flights[:rest]
}

// hooks count what the client does on its own.
type hooks struct{ stream *Stream }

const produceKey = 0

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (h hooks) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == produceKey && e2e.Err() != nil {
		h.stream.retries.Add(1)
	}
}
