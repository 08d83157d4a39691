package shard

import "time"

// Follow has a shadow, which was made for this pool, decide all flows again from now on;
// nil: none. Each of the two bundles is given what a tap would send for it alone: taps
// are asked for what either needs, also after a flow's LABEL, and each pool leaves out
// the rest. A shadow gets no flow that began before taps had time to learn of it.
func (p *Pool) Follow(shadow *Pool) {
	p.announcing.Lock()
	defer p.announcing.Unlock()
	p.shadow = shadow
	if shadow != nil {
		needs := shadow.Needs()
		shadow.limit.Store(&needs)
	}
	if p.announceNow() {
		p.announcing.Unlock()
		time.Sleep(announceTime)
		p.announcing.Lock()
		if p.shadow != shadow { // meanwhile it has failed
			return
		}
	}
	for i, one := range p.shards {
		if shadow != nil {
			one.setShadow(shadow.shards[i])
		} else {
			one.setShadow(nil)
		}
	}
}

// drop ends that a shadow, which has failed, is given flows.
func (p *Pool) drop(shadow *Pool) {
	p.announcing.Lock()
	defer p.announcing.Unlock()
	if p.shadow != shadow {
		return
	}
	p.shadow = nil
	for _, one := range p.shards {
		one.setShadow(nil)
	}
	p.announceNow()
}

// Failed reports whether the pool is a shadow that is given no more flows.
func (p *Pool) Failed() bool { return p.failed.Load() }
