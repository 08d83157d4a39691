package shard

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// PoolOptions are what a pool is made of.
type PoolOptions struct {
	Bundle *bundle.Bundle // that it begins with; stays the caller's to close, after Stop
	Shards int            // at least 1
	// Each is what every shard has. MaxFlows is the limit of the pool; Service,
	// Metrics and OnLoad are the pool's to set.
	Each    Options
	Jobs    int // of each batched stage
	Batch   int // of these, asked at once
	Metrics *telemetry.Metrics
	OnLoad  func(shard int, l telemetry.Load) // a shard sheds more or less load
}

// Pool is all shards: it brings events to them, swaps their bundles, says how
// they are and stops them. Reload and Stop may be called at any time, and more
// than once.
type Pool struct {
	*Router
	options PoolOptions
	shards  []*Shard
	stop    chan struct{} // closed by Stop
	stopped sync.Once
	running sync.WaitGroup
	errs    []error // what each shard returned, then what Stop returns

	reloading sync.Mutex     // held during a reload, and to stop
	drained   sync.WaitGroup // of services that wait for their last flow
	mu        sync.Mutex
	services  []*Service // in use, the newest last
	newest    *Service

	announcing sync.Mutex // held while announce is called
	announce   func(wire.Welcome) bool
}

// NewPool starts shards that serve a bundle.
func NewPool(o PoolOptions) (*Pool, error) {
	p := &Pool{options: o, stop: make(chan struct{}), errs: make([]error, o.Shards)}
	service, err := NewService(o.Bundle, o.Jobs, o.Batch, o.Metrics)
	if err != nil {
		return nil, err
	}
	inputs := make([]Input, o.Shards)
	for i := range inputs {
		each := o.Each
		each.Service, each.Metrics = service, o.Metrics.NewShard()
		each.MaxFlows = max(o.Each.MaxFlows/o.Shards, 1)
		if o.OnLoad != nil {
			each.OnLoad = func(l telemetry.Load) { o.OnLoad(i, l) }
		}
		one, err := New(each)
		if err != nil {
			for _, s := range p.shards {
				err = errors.Join(err, s.closeShares())
			}
			return nil, errors.Join(err, service.Close())
		}
		p.shards = append(p.shards, one)
		inputs[i] = Input{one.in, one.captures}
	}
	p.Router = NewRouter(inputs, p.stop, o.Each.Quiet+o.Each.Forget)
	service.Counted.Begin()
	for i, one := range p.shards {
		p.running.Go(func() { p.errs[i] = one.Run(p.stop) })
	}
	p.use(service)
	p.freeWhenOver(service, nil)
	p.watch()
	return p, nil
}

// watch lets the metrics see how the shards are.
func (p *Pool) watch() {
	sum := func(of func(*Shard) int) func() int {
		return func() (n int) {
			for _, one := range p.shards {
				n += of(one)
			}
			return n
		}
	}
	m := p.options.Metrics
	m.ReadQueue(telemetry.QueueShards, sum((*Shard).Depth))
	m.ReadQueue(telemetry.QueueSlow, sum((*Shard).Waiting))
	m.ReadQueue(telemetry.QueueModel, func() (n int) {
		for _, v := range p.inUse() {
			n += v.Batchers.Depth()
		}
		return n
	})
	m.ReadLoad(func() (most int) {
		for _, one := range p.shards {
			most = max(most, one.Level())
		}
		return most
	})
	m.ReadDrift(func() []telemetry.Drift { return p.serving().Drift() })
}

// stuckAfter is how long a shard may not look at its clocks before it counts as
// stuck.
const stuckAfter = 10 * time.Second

// Health is nil while every shard is at work.
func (p *Pool) Health() error {
	for i, one := range p.shards {
		if still := time.Since(one.Beat()); still > stuckAfter {
			return fmt.Errorf("shard %d has been still for %v", i, still.Round(time.Second))
		}
	}
	return nil
}

// Bundle is what new flows go to.
func (p *Pool) Bundle() *bundle.Bundle { return p.serving().Bundle }

// Stop has the shards deal with what was sent to them before, gives open flows
// the best label that they have so far, and frees the bundles that are the
// pool's. A second call waits for the first and returns the same.
func (p *Pool) Stop() error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	p.stopped.Do(func() {
		close(p.stop)
		p.running.Wait()
		p.drained.Wait()
	})
	return errors.Join(p.errs...)
}

// over says whether the pool was stopped.
func (p *Pool) over() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// inUse are the services that flows use, the newest last.
func (p *Pool) inUse() []*Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.services)
}

// serving is the service that new flows go to.
func (p *Pool) serving() *Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest
}

func (p *Pool) use(v *Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services, p.newest = append(p.services, v), v
}

func (p *Pool) leave(v *Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services = slices.DeleteFunc(p.services, func(other *Service) bool { return other == v })
}
