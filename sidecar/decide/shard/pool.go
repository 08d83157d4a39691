package shard

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// PoolOptions configure a pool.
type PoolOptions struct {
	Bundle *bundle.Bundle // that it begins with; stays the caller's to close, after Stop
	Shards int            // at least 1
	// Shard are the options of every shard. MaxFlows and PacketBytes are the limits of
	// the pool; the pool sets Bundle, Metrics and OnLoad.
	Shard   Options
	Jobs    int // of each batched stage
	Batch   int // of these, asked at once
	Metrics *telemetry.Metrics
	OnLoad  func(shard int, l telemetry.Cell) // called when the load state of a shard changes
	// Leader is the pool whose flows this one decides again, as its shadow, with as many
	// shards; nil: it is none. Shadow counts for it, and OnFailure is called when it has
	// panicked and is not given flows any more.
	Leader    *Pool
	Shadow    *telemetry.Shadow
	OnFailure func(error)
}

// Pool owns all shards: it routes events to them, swaps their bundles, reports
// their health and stops them. Reload and Stop may be called at any time, and more
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
	releasing sync.WaitGroup // of bundles whose last flow is not decided
	mu        sync.Mutex
	bundles   []*servedBundle // in use, the newest last
	newest    *servedBundle
	freed     chan struct{} // has room for one: a bundle is no longer in use

	announcing sync.Mutex // held while announce is called
	announce   func(wire.Welcome) bool
	shadow     *Pool // guarded by announcing
	limit      atomic.Pointer[wire.Welcome]
	failed     atomic.Bool // a shard of this shadow has panicked
}

// NewPool starts shards that serve a bundle.
func NewPool(o PoolOptions) (*Pool, error) {
	p := &Pool{options: o, stop: make(chan struct{}), errs: make([]error, o.Shards), freed: make(chan struct{}, 1)}
	service, err := newServedBundle(o.Bundle, o.Jobs, o.Batch, o.Metrics)
	if err != nil {
		return nil, err
	}
	inputs := make([]Input, o.Shards)
	for i := range inputs {
		each := o.Shard
		each.Bundle, each.Metrics = service, o.Metrics.NewShard()
		each.MaxFlows, each.Limit = max(o.Shard.MaxFlows/o.Shards, 1), &p.limit
		if o.Leader != nil {
			each.Leader, each.Agreement = o.Leader.shards[i], o.Shadow.NewAgreement()
		}
		if o.Shard.PacketBytes > 0 {
			each.PacketBytes = max(o.Shard.PacketBytes/int64(o.Shards), 1)
		}
		if o.OnLoad != nil {
			each.OnLoad = func(l telemetry.Cell) { o.OnLoad(i, l) }
		}
		one, err := New(each)
		if err != nil {
			for _, s := range p.shards {
				err = errors.Join(err, s.closeBundles())
			}
			return nil, errors.Join(err, service.Close())
		}
		p.shards = append(p.shards, one)
		inputs[i] = Input{one.in, one.captures}
	}
	p.Router = NewRouter(inputs, p.stop, o.Shard.IdleTimeout+o.Shard.Retention)
	service.Metrics.Activate()
	for i, one := range p.shards {
		p.running.Go(func() { p.errs[i] = p.run(one) })
	}
	p.add(service)
	p.closeWhenReleased(service, nil)
	p.registerMetrics()
	return p, nil
}

// run runs a shard. A panic in one of a shadow ends the shadow alone.
func (p *Pool) run(s *Shard) error {
	if p.options.Leader != nil {
		defer func() {
			if r := recover(); r != nil {
				p.failed.Store(true)
				s.abandon()
				p.options.Leader.drop(p)
				p.options.OnFailure(fmt.Errorf("%v: %s", r, debug.Stack()))
			}
		}()
	}
	return s.Run(p.stop)
}

// registerMetrics makes the metrics read queues, load and drift of the shards.
func (p *Pool) registerMetrics() {
	sum := func(of func(*Shard) int) func() int {
		return func() (n int) {
			for _, one := range p.shards {
				n += of(one)
			}
			return n
		}
	}
	m := p.options.Metrics
	m.Read(telemetry.QueueShards, sum((*Shard).Depth))
	m.Read(telemetry.QueueSlow, sum((*Shard).QueuedSlow))
	m.Read(telemetry.QueueModel, func() (n int) {
		for _, v := range p.inUse() {
			n += v.Batchers.Depth()
		}
		return n
	})
	m.Read(telemetry.LoadLevel, func() (most int) {
		for _, one := range p.shards {
			most = max(most, one.Level())
		}
		return most
	})
	m.ReadDrift(func() []telemetry.Drift { return p.newestBundle().Drift() })
}

// stuckTimeout is how long a shard may run no timer before it counts as stuck.
const stuckTimeout = 10 * time.Second

// Alive is nil while every shard responds.
func (p *Pool) Alive() error {
	for i, one := range p.shards {
		if still := time.Since(one.LastTick()); still > stuckTimeout {
			return fmt.Errorf("shard %d has not responded for %v", i, still.Round(time.Second))
		}
	}
	return nil
}

// healthyWait is how much longer than flow.deadline a live flow may wait in a healthy
// sidecar.
const healthyWait = time.Second

// Health is nil while every shard responds and no live flow waits too long.
func (p *Pool) Health() error {
	if err := p.Alive(); err != nil {
		return err
	}
	longest := time.Duration(0)
	for _, one := range p.shards {
		longest = max(longest, one.LongestWait())
	}
	if deadline := p.options.Shard.Deadline; longest > deadline+healthyWait {
		return fmt.Errorf("live flows wait too long: up to %v in the last seconds (flow.deadline is %v); the machine is overloaded or a model is too slow",
			longest.Round(time.Millisecond), deadline)
	}
	return nil
}

// Bundle is the bundle that new flows begin with.
func (p *Pool) Bundle() *bundle.Bundle { return p.newestBundle().Bundle }

// Stop has the shards handle everything sent to them before, gives open flows their
// best label so far, and closes the bundles that the pool owns. A second call waits
// for the first and returns the same.
func (p *Pool) Stop() error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	p.stopped.Do(func() {
		close(p.stop)
		p.running.Wait()
		p.releasing.Wait()
	})
	return errors.Join(p.errs...)
}

// isStopped reports whether Stop was called.
func (p *Pool) isStopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// inUse are the bundles that flows use, the newest last.
func (p *Pool) inUse() []*servedBundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.bundles)
}

// newestBundle is the bundle that new flows begin with.
func (p *Pool) newestBundle() *servedBundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest
}

func (p *Pool) add(v *servedBundle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bundles, p.newest = append(p.bundles, v), v
}

func (p *Pool) remove(v *servedBundle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bundles = slices.DeleteFunc(p.bundles, func(other *servedBundle) bool { return other == v })
}
