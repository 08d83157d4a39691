package cascade

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// Job is one flow on its way through a batched stage. Jobs are made once and
// go round: from Free to the caller, to Ask, back on the caller's channel, and
// with Release to the next.
type Job[T any] struct {
	Tag     T // the caller's
	Verdict Verdict
	Err     error

	batcher *Batcher[T]
	row     []float32
	done    chan<- *Job[T]
}

// Release gives the job back for another flow.
func (j *Job[T]) Release() { j.batcher.free <- j }

// Batcher asks one batched stage, many flows at a time, in a goroutine of its
// own. The number of jobs bounds its queue.
type Batcher[T any] struct {
	stage   *Stage
	free    chan *Job[T]
	queue   chan *Job[T]
	scorer  model.Scorer
	batch   []*Job[T]
	rows    []float32
	probs   []float32
	rowTime atomic.Int64 // ns for a row, of late
	done    sync.WaitGroup
}

// NewBatcher starts a batcher for stage i of c with so many jobs, asking for up to
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

// Free gives jobs that are not in use. A caller that must not wait takes one
// only if there is one.
func (b *Batcher[T]) Free() <-chan *Job[T] { return b.free }

// Depth is the number of jobs that wait to be asked.
func (b *Batcher[T]) Depth() int { return len(b.queue) }

// EstimatedWait is about how long a job would wait that was queued now.
func (b *Batcher[T]) EstimatedWait() time.Duration {
	return time.Duration(int64(len(b.queue)) * b.rowTime.Load())
}

// Jobs is the number of jobs there are.
func (b *Batcher[T]) Jobs() int { return cap(b.free) }

// Ask queues a job for the flow whose first packets are given. It comes back
// on done, with its note; while that is full the batcher waits.
func (b *Batcher[T]) Ask(j *Job[T], note T, packets []packet.Packet, done chan<- *Job[T]) {
	j.Tag, j.done = note, done
	b.stage.Plan.Encode(j.row, b.stage.inputs(packets))
	b.queue <- j
}

// Close answers what is queued and stops. Nothing may be asked after it.
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
