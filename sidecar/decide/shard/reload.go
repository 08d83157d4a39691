package shard

import (
	"errors"
	"fmt"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// ErrBusy refuses a reload while too many bundles are in use, until Freed; ErrStopped
// refuses it after Stop.
var (
	ErrBusy    = fmt.Errorf("flows in progress still use %d earlier bundles", MaxBundles-1)
	ErrStopped = errors.New("the sidecar has stopped")
)

// announceTime is how long taps have to learn that a bundle needs more of each flow
// before flows begin with it.
const announceTime = 250 * time.Millisecond

// Reload serves b and takes ownership of it. It returns false if b is the bundle
// that is served already. With false or an error, b is closed and the previous
// bundle is still served.
//
// Every shard swaps between two batches. Flows in progress finish with the bundle
// they began with, which is closed when the last of them is decided; until then
// taps are asked for the largest need of all bundles in use.
func (p *Pool) Reload(b *bundle.Bundle) (bool, error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	applied, err := p.reload(b)
	switch {
	case err != nil:
		p.options.Metrics.Reloaded(telemetry.ReloadRefused)
	case applied:
		p.options.Metrics.Reloaded(telemetry.ReloadApplied)
		return true, nil
	default:
		p.options.Metrics.Reloaded(telemetry.ReloadUnchanged)
	}
	return false, errors.Join(err, b.Close())
}

func (p *Pool) reload(b *bundle.Bundle) (bool, error) {
	if p.isStopped() {
		return false, ErrStopped
	}
	if b.Digest() == p.Bundle().Digest() {
		return false, nil
	}
	select {
	case <-p.freed: // before now
	default:
	}
	if len(p.inUse()) >= MaxBundles {
		return false, ErrBusy
	}
	v, err := newServedBundle(b, p.options.Jobs, p.options.Batch, p.options.Metrics)
	if err != nil {
		return false, err
	}
	shares := make([]*shardBundle, len(p.shards))
	for i, one := range p.shards {
		if shares[i], err = one.newBundle(v); err != nil {
			for _, share := range shares[:i] {
				err = errors.Join(err, share.Close())
			}
			return false, errors.Join(err, v.Close())
		}
	}
	p.add(v)
	if p.announceNeeds() {
		time.Sleep(announceTime)
	}
	v.Metrics.Activate()
	for i, one := range p.shards {
		one.Serve(shares[i])
	}
	for _, share := range shares {
		<-share.Installed()
	}
	p.closeWhenReleased(v, b)
	return true, nil
}

// Freed receives when a bundle is no longer in use after a reload was refused with
// ErrBusy: there is room for another.
func (p *Pool) Freed() <-chan struct{} { return p.freed }

// closeWhenReleased closes a served bundle, and owned if not nil, when no shard
// serves it any more.
func (p *Pool) closeWhenReleased(v *servedBundle, owned *bundle.Bundle) {
	p.releasing.Go(func() {
		<-v.Released()
		p.remove(v)
		select {
		case p.freed <- struct{}{}:
		default:
		}
		p.announceNeeds()
		err := v.Close()
		if owned != nil {
			err = errors.Join(err, owned.Close())
		}
		if err != nil {
			p.options.Shard.OnError(fmt.Errorf("freeing bundle %s: %w", v.Bundle.Name(), err))
		}
	})
}

// Announce sets the function that is called whenever the needs of the bundles in
// use change. It returns whether they have grown.
func (p *Pool) Announce(announce func(wire.Welcome) bool) {
	p.announcing.Lock()
	p.announce = announce
	p.announcing.Unlock()
	p.announceNeeds()
}

// announceNeeds calls announce with the current needs. It holds a lock, so that the
// last call has the latest needs when bundles come and go at the same time.
func (p *Pool) announceNeeds() bool {
	p.announcing.Lock()
	defer p.announcing.Unlock()
	return p.announceNow()
}

func (p *Pool) announceNow() bool {
	own := p.Needs()
	if own.Packets == 0 || p.options.Leader != nil {
		return false // all have stopped, or the leader says it
	}
	if p.shadow != nil {
		p.limit.Store(&own)
	} else {
		p.limit.Store(nil)
	}
	return p.announce != nil && p.announce(p.asked())
}

// Asked is what taps are asked for: what the bundles in use need, and those of a shadow.
func (p *Pool) Asked() wire.Welcome {
	p.announcing.Lock()
	defer p.announcing.Unlock()
	return p.asked()
}

func (p *Pool) asked() wire.Welcome {
	w := p.Needs()
	if p.shadow != nil {
		w = largest(w, p.shadow.Needs())
		w.AfterLabel = true
	}
	return w
}

// Needs is what the bundles in use need of each flow.
func (p *Pool) Needs() (w wire.Welcome) {
	for _, v := range p.inUse() {
		w = largest(w, needs(v.Bundle, p.options.Shard.Payload))
	}
	return w
}

// largest is what is needed by two.
func largest(a, b wire.Welcome) wire.Welcome {
	a.Packets, a.RawBytes, a.PayloadBytes = max(a.Packets, b.Packets), max(a.RawBytes, b.RawBytes), max(a.PayloadBytes, b.PayloadBytes)
	return a
}

// headerBytes is how many bytes of headers a tap is asked for: enough for the
// largest IPv4 and TCP headers, and for IPv6 with some extension headers.
const headerBytes = 192

// needs is what a bundle needs of each flow; payload says whether it may ask for
// bytes of payload.
func needs(b *bundle.Bundle, payload bool) wire.Welcome {
	w := wire.Welcome{Packets: b.Packets()}
	if payload {
		w.PayloadBytes = b.PayloadBytes()
	}
	if b.Packet != nil {
		w.RawBytes = headerBytes + w.PayloadBytes
	}
	return w
}
