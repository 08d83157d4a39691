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
// go round: from Take to the caller, to Ask, back on the caller's channel, and
// with Release to the next.
type Job struct {
	Flow    uint32 // the caller's own name for the flow
	Verdict Verdict
	Err     error

	// Notes of the caller, for when the answer comes.
	Packets int
	Why     Reason
	At      int64
	Arrived time.Time
	Asked   time.Time

	batcher *Batcher
	row     []float32
	done    chan<- *Job
}

// Release gives the job back for another flow.
func (j *Job) Release() { j.batcher.free <- j }

// Batcher asks one batched stage, many flows at a time, in a goroutine of its
// own. The number of jobs bounds its queue.
type Batcher struct {
	stage  *Stage
	free   chan *Job
	queue  chan *Job
	scorer model.Scorer
	batch  []*Job
	rows   []float32
	probs  []float32
	took   atomic.Int64 // ns for a row, of late
	done   sync.WaitGroup
}

// NewBatcher starts a batcher for stage i with so many jobs, asking for up to
// batch rows at once.
func (c *Cascade) NewBatcher(i, jobs, batch int) (*Batcher, error) {
	s := &c.Stages[i]
	scorer, err := s.Model.NewScorer()
	if err != nil {
		return nil, fmt.Errorf("stage %q: %w", s.Name, err)
	}
	width := s.Plan.Width()
	b := &Batcher{
		stage: s, scorer: scorer,
		free:  make(chan *Job, jobs),
		queue: make(chan *Job, jobs),
		batch: make([]*Job, 0, batch),
		rows:  make([]float32, batch*width),
		probs: make([]float32, batch*len(c.Labels)),
	}
	for range jobs {
		b.free <- &Job{batcher: b, row: make([]float32, width)}
	}
	b.done.Add(1)
	go b.run()
	return b, nil
}

// Free gives jobs that are not in use. A caller that must not wait takes one
// only if there is one.
func (b *Batcher) Free() <-chan *Job { return b.free }

// Depth is the number of jobs that wait to be asked.
func (b *Batcher) Depth() int { return len(b.queue) }

// Wait is about how long a job would wait that was queued now.
func (b *Batcher) Wait() time.Duration { return time.Duration(int64(len(b.queue)) * b.took.Load()) }

// Jobs is the number of jobs there are.
func (b *Batcher) Jobs() int { return cap(b.free) }

// Ask queues a job for the flow whose first packets are given. It comes back
// on done; while that is full the batcher waits.
func (b *Batcher) Ask(j *Job, flow uint32, packets []packet.Packet, done chan<- *Job) {
	j.Flow, j.done = flow, done
	b.stage.Plan.Encode(j.row, b.stage.uses(packets))
	b.queue <- j
}

// Close answers what is queued and stops. Nothing may be asked after it.
func (b *Batcher) Close() error {
	close(b.queue)
	b.done.Wait()
	return b.scorer.Close()
}

func (b *Batcher) run() {
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
		b.ask()
	}
}

func (b *Batcher) ask() {
	width, classes, n := b.stage.Plan.Width(), len(b.stage.Thresholds), len(b.batch)
	for i, j := range b.batch {
		copy(b.rows[i*width:], j.row)
	}
	began := time.Now()
	err := b.scorer.Score(b.probs[:n*classes], b.rows[:n*width], n)
	each, before := int64(time.Since(began))/int64(n), b.took.Load()
	b.took.Store(before + (each-before)/8)
	for i, j := range b.batch {
		j.Verdict, j.Err = Verdict{}, nil
		if err != nil {
			j.Err = fmt.Errorf("stage %q: %w", b.stage.Name, err)
		} else {
			j.Verdict = b.stage.judge(b.probs[i*classes : (i+1)*classes])
		}
		j.done <- j
	}
}
