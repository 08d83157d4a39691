package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/spool"
)

// Stream takes records and brings them to Kafka. Its methods may be called by many
// goroutines at once.
type Stream struct {
	options  Options
	codec    kgo.CompressionCodec
	queue    *spool.Queue
	encoders sync.Pool

	stop    context.Context // done: what is under way is given up
	giveUp  context.CancelFunc
	ended   chan struct{}
	sent    atomic.Uint64
	retries atomic.Uint64
	repeats atomic.Uint64
	up      atomic.Bool
	trouble string // of the sender alone: what was said last
	drops   [drops]atomic.Uint64
	batch   atomic.Int32 // the largest batch that the broker takes, in bytes
	aged    atomic.Bool  // a broker refused records for their time: they get that of their sending
	closing sync.Once
	closed  error
}

// Open opens the queue and begins to send what waits there. It does not wait for a
// broker.
func Open(o Options) (*Stream, error) {
	s := &Stream{options: o, ended: make(chan struct{})}
	var err error
	if s.codec, err = codec(o.Compression); err != nil {
		return nil, err
	}
	if _, err := o.options(); err != nil {
		return nil, err
	}
	s.encoders.New = func() any { return newEncoder(o.Host) }
	s.batch.Store(maxBatch)
	s.queue, err = spool.Open(spool.Options{
		Dir: o.Queue, MaxBytes: o.QueueSize, Memory: o.Memory / 2,
		OnError: func(err error) { o.Log.Error().Err(err).Msg("kafka") },
	})
	if err != nil {
		return nil, fmt.Errorf("kafka.queue: %w", err)
	}
	if n := s.queue.Stats().Recovered; n > 0 {
		o.Log.Info().Uint64("records", n).Msg("kafka: records of an earlier run are sent first")
	}
	s.stop, s.giveUp = context.WithCancel(context.Background())
	go s.run()
	return s, nil
}

// Write takes decisions. It does not wait and implements shard.Log.
func (s *Stream) Write(records []decision.Record) {
	e := s.encoders.Get().(*encoder)
	e.items = e.items[:0]
	n := 0
	for i := range records {
		e.label(&records[i])
		if n++; len(e.items) >= part {
			s.queue.Add(e.items, n)
			e.items, n = e.items[:0], 0
		}
	}
	if n > 0 {
		s.queue.Add(e.items, n)
	}
	s.encoders.Put(e)
}

// part is how many bytes are handed to the queue at once.
const part = 32 << 10

// EVE takes a record of EVE with its label: one JSON object, from a sensor. It does
// nothing unless Options.EVETopic is set.
func (s *Stream) EVE(sensor string, record []byte) {
	if s.options.EVETopic == "" {
		return
	}
	if len(record) > maxBatch {
		s.drops[dropTooLarge].Add(1)
		return
	}
	e := s.encoders.Get().(*encoder)
	e.items = e.items[:0]
	e.eve(sensor, record)
	s.queue.Add(e.items, 1)
	if cap(e.items) <= 2*part {
		s.encoders.Put(e)
	}
}

// How long Close waits for brokers that answer, and for those that do not.
const (
	flushTime = 5 * time.Second
	downTime  = time.Second
)

// Close takes no more records and sends those that wait, for as long as ctx and brokers
// allow. What is left then stays in the queue for the next run.
func (s *Stream) Close(ctx context.Context) error {
	s.closing.Do(func() {
		s.queue.Close()
		most := flushTime
		if !s.up.Load() {
			most = downTime
		}
		select {
		case <-s.ended:
		case <-ctx.Done():
		case <-time.After(most):
		}
		s.giveUp()
		<-s.ended
		s.closed = s.queue.Abandon()
		if n := s.queue.Stats().Waiting; n > 0 {
			s.options.Log.Warn().Uint64("records", n).Msg("kafka: what could not be sent is left in the queue for the next start")
		}
	})
	return s.closed
}

// The times between two tries, when a broker refuses or cannot be reached at all.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 5 * time.Second
)

// run sends until the queue is closed and empty, or it is to give up.
func (s *Stream) run() {
	defer close(s.ended)
	w := &window{stream: s}
	wait := retryFirst
	for {
		began := w.done
		err := w.send()
		switch {
		case err == nil || s.stop.Err() != nil:
			return
		case w.done != began:
			wait = retryFirst
		}
		s.becomes(false, err)
		select {
		case <-time.After(wait):
		case <-s.stop.Done():
			return
		}
		wait = min(2*wait, retryMost)
	}
}

// becomes notes whether brokers take records, and says so when it changes, or when the
// error does.
func (s *Stream) becomes(up bool, err error) {
	text := ""
	if err != nil {
		text = explain(err).Error()
	}
	if was := s.up.Swap(up); was == up && text == s.trouble {
		return
	}
	s.trouble = text
	switch {
	case up:
		s.options.Log.Info().Msg("kafka: records are taken")
	case text != "":
		s.options.Log.Error().Str("error", text).Msg("kafka: records wait in the queue")
	default:
		s.options.Log.Warn().Msg("kafka: brokers do not answer: records wait in the queue")
	}
}

// errRefused is a broker's refusal of a batch for its size: the next try has smaller ones.
var errRefused = errors.New("the broker takes no batch of this size")
