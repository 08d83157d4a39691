package cascade

import (
	"errors"
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

	batcher  *Batcher[T]
	row      []float32
	done     chan<- *Job[T]
	deadline time.Time
}

// Release frees the job for another flow.
func (j *Job[T]) Release() { j.batcher.free <- j }

// Batcher scores one batched stage, many flows at a time, in goroutines of its own:
// one, or as many as a model.Shared asks for. The number of jobs bounds its queue.
type Batcher[T any] struct {
	stage   *Stage
	free    chan *Job[T]
	queue   chan *Job[T]
	workers []*worker[T]
	rowTime atomic.Int64 // ns per row, a moving average
	done    sync.WaitGroup
}

// worker is one goroutine of a batcher, and its scratch memory.
type worker[T any] struct {
	*Batcher[T]
	scorer model.Scorer
	batch  []*Job[T]
	rows   []float32
	probs  []float32
}

// NewBatcher starts a batcher with so many jobs for stage i of c. It scores up to
// batch rows at once.
func NewBatcher[T any](c *Cascade, i, jobs, batch int) (*Batcher[T], error) {
	s := &c.Stages[i]
	width := s.Plan.Width()
	b := &Batcher[T]{stage: s, free: make(chan *Job[T], jobs), queue: make(chan *Job[T], jobs)}
	workers := 1
	if m, ok := s.Model.(model.Shared); ok {
		workers = m.Workers()
	}
	for range workers {
		scorer, err := s.Model.NewScorer()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stage %q: %w", s.Name, err), b.Close())
		}
		w := &worker[T]{
			Batcher: b, scorer: scorer,
			batch: make([]*Job[T], 0, batch),
			rows:  make([]float32, batch*width),
			probs: make([]float32, batch*len(c.Labels)),
		}
		b.workers = append(b.workers, w)
		b.done.Go(w.run)
	}
	for range jobs {
		b.free <- &Job[T]{batcher: b, row: make([]float32, width)}
	}
	return b, nil
}

// Free yields jobs that are not in use. A caller that must not wait receives
// without blocking.
func (b *Batcher[T]) Free() <-chan *Job[T] { return b.free }

// Depth is the number of queued jobs.
func (b *Batcher[T]) Depth() int { return len(b.queue) }

// EstimatedWait is about how long a job queued now would wait.
func (b *Batcher[T]) EstimatedWait() time.Duration {
	return time.Duration(int64(len(b.queue)) * b.rowTime.Load() / int64(len(b.workers)))
}

// Jobs is the number of jobs in all.
func (b *Batcher[T]) Jobs() int { return cap(b.free) }

// Ask queues a job for the flow with these first packets, which is to be answered
// before deadline; zero: whenever. The job comes back on done with its tag; while done
// is full the batcher blocks.
func (b *Batcher[T]) Ask(j *Job[T], note T, packets []packet.Packet, deadline time.Time, done chan<- *Job[T]) {
	j.Tag, j.deadline, j.done = note, deadline, done
	b.stage.Plan.Encode(j.row, b.stage.inputs(packets))
	b.queue <- j
}

// Close scores what is queued and stops. Ask must not be called afterwards.
func (b *Batcher[T]) Close() error {
	close(b.queue)
	b.done.Wait()
	var errs []error
	for _, w := range b.workers {
		errs = append(errs, w.scorer.Close())
	}
	return errors.Join(errs...)
}

// errExpired is why a job was not scored that waited past its deadline.
var errExpired = errors.New("no time was left to ask")

func (w *worker[T]) run() {
	timed, _ := w.scorer.(model.Timed)
	for j := range w.queue {
		w.batch = w.batch[:0]
		w.take(j, timed != nil)
	fill:
		for len(w.batch) < cap(w.batch) {
			select {
			case j, ok := <-w.queue:
				if !ok {
					break fill
				}
				w.take(j, timed != nil)
			default:
				break fill
			}
		}
		if len(w.batch) > 0 {
			w.scoreBatch(timed)
		}
	}
}

// take puts a job into the batch, unless its time is over.
func (w *worker[T]) take(j *Job[T], timed bool) {
	if timed && !j.deadline.IsZero() && time.Now().After(j.deadline) {
		j.Verdict, j.Err = Verdict{}, fmt.Errorf("stage %q: %w", w.stage.Name, errExpired)
		j.done <- j
		return
	}
	w.batch = append(w.batch, j)
}

// deadline is when the first job of the batch has to be answered.
func (w *worker[T]) deadline() (first time.Time) {
	for _, j := range w.batch {
		if !j.deadline.IsZero() && (first.IsZero() || j.deadline.Before(first)) {
			first = j.deadline
		}
	}
	return first
}

func (w *worker[T]) scoreBatch(timed model.Timed) {
	width, classes, n := w.stage.Plan.Width(), len(w.stage.Thresholds), len(w.batch)
	for i, j := range w.batch {
		copy(w.rows[i*width:], j.row)
	}
	if timed != nil {
		timed.SetDeadline(w.deadline())
	}
	began := time.Now()
	err := w.score(w.probs[:n*classes], w.rows[:n*width], n)
	each, before := int64(time.Since(began))/int64(n), w.rowTime.Load()
	w.rowTime.Store(before + (each-before)/8)
	for i, j := range w.batch {
		j.Verdict, j.Err = Verdict{}, nil
		if err != nil {
			j.Err = fmt.Errorf("stage %q: %w", w.stage.Name, err)
		} else {
			j.Verdict = w.stage.verdict(w.probs[i*classes : (i+1)*classes])
		}
		j.done <- j
	}
}

// score asks the model. A panic in it is an error: no shard could recover from it here.
func (w *worker[T]) score(probs, rows []float32, n int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return w.scorer.Score(probs, rows, n)
}
