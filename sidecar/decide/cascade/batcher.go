package cascade

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// Job is one flow in a batched stage. Jobs are made once and reused: a caller takes
// one from Free, passes it to Ask, gets it back on its channel and frees it with
// Release.
type Job[T any] struct {
	Tag     T // the caller's own
	Verdict Verdict
	Err     error

	batcher *Batcher[T]
	row     []float32
	done    chan<- *Job[T]
}

// Release frees the job for another flow.
func (j *Job[T]) Release() { j.batcher.free <- j }

// Batcher scores one batched stage, many flows at a time, in its own goroutine. The
// number of jobs bounds its queue.
type Batcher[T any] struct {
	stage   *Stage
	free    chan *Job[T]
	queue   chan *Job[T]
	scorer  model.Scorer
	batch   []*Job[T]
	rows    []float32
	probs   []float32
	rowTime atomic.Int64 // ns per row, a moving average
	done    sync.WaitGroup
}

// NewBatcher starts a batcher with so many jobs for stage i of c. It scores up to
// batch rows at once.
func NewBatcher[T any](c *Cascade, i, jobs, batch int) (*Batcher[T], error) {
	s := &c.Stages[i]
	scorer, err := s.Model.NewScorer()
	if err != nil {
		return nil, fmt.Errorf("stage %q: %w", s.Name, err)
	}
	width := s.Plan.Width()
	b := &Batcher[T]{
		stage: s, scorer: scorer,
		free:  make(chan *Job[T], jobs),
		queue: make(chan *Job[T], jobs),
		batch: make([]*Job[T], 0, batch),
		rows:  make([]float32, batch*width),
		probs: make([]float32, batch*len(c.Labels)),
	}
	for range jobs {
		b.free <- &Job[T]{batcher: b, row: make([]float32, width)}
	}
	b.done.Add(1)
	go b.run()
	return b, nil
}

// Free yields jobs that are not in use. A caller that must not wait receives
// without blocking.
func (b *Batcher[T]) Free() <-chan *Job[T] { return b.free }

// Depth is the number of queued jobs.
func (b *Batcher[T]) Depth() int { return len(b.queue) }

// EstimatedWait is about how long a job queued now would wait.
func (b *Batcher[T]) EstimatedWait() time.Duration {
	return time.Duration(int64(len(b.queue)) * b.rowTime.Load())
}

// Jobs is the number of jobs in all.
func (b *Batcher[T]) Jobs() int { return cap(b.free) }

// Ask queues a job for the flow with these first packets. The job comes back on
// done with its tag; while done is full the batcher blocks.
func (b *Batcher[T]) Ask(j *Job[T], note T, packets []packet.Packet, done chan<- *Job[T]) {
	j.Tag, j.done = note, done
	b.stage.Plan.Encode(j.row, b.stage.inputs(packets))
	b.queue <- j
}

// Close scores what is queued and stops. Ask must not be called afterwards.
func (b *Batcher[T]) Close() error {
	close(b.queue)
	b.done.Wait()
	return b.scorer.Close()
}

func (b *Batcher[T]) run() {
	defer b.done.Done()
	for j := range b.queue {
		b.batch = append(b.batch[:0], j)
	fill:
		for len(b.batch) < cap(b.batch) {
			select {
			case j, ok := <-b.queue:
				if !ok {
					break fill
				}
				b.batch = append(b.batch, j)
			default:
				break fill
			}
		}
		b.scoreBatch()
	}
}

func (b *Batcher[T]) scoreBatch() {
	width, classes, n := b.stage.Plan.Width(), len(b.stage.Thresholds), len(b.batch)
	for i, j := range b.batch {
		copy(b.rows[i*width:], j.row)
	}
	began := time.Now()
	err := b.scorer.Score(b.probs[:n*classes], b.rows[:n*width], n)
	each, before := int64(time.Since(began))/int64(n), b.rowTime.Load()
	b.rowTime.Store(before + (each-before)/8)
	for i, j := range b.batch {
		j.Verdict, j.Err = Verdict{}, nil
		if err != nil {
			j.Err = fmt.Errorf("stage %q: %w", b.stage.Name, err)
		} else {
			j.Verdict = b.stage.verdict(b.probs[i*classes : (i+1)*classes])
		}
		j.done <- j
	}
}
