package shard

import (
	"errors"
	"fmt"
	"sync/atomic"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/operate/telemetry"
)

// MaxBundles is how many bundles a shard may serve at a time: the newest, which new
// flows begin with, and those that flows in progress began with.
const MaxBundles = 8

// servedBundle is a bundle that shards serve, with what all shards share of it.
type servedBundle struct {
	Bundle   *bundle.Bundle
	Metrics  *telemetry.ServedBundle
	Batchers Batchers
	// packetDrift and headerlessDrift are the most recent flows of each cascade;
	// nil if the bundle has no reference for it.
	packetDrift, headerlessDrift *drift.Window
	refs                         atomic.Int32 // shards that serve it
	released                     chan struct{}
}

// newServedBundle returns a bundle that no shard serves yet. Each batched stage has
// so many jobs, of which up to batch are scored at once.
func newServedBundle(b *bundle.Bundle, jobs, batch int, m *telemetry.Metrics) (*servedBundle, error) {
	v := &servedBundle{Bundle: b, released: make(chan struct{})}
	v.Metrics = m.NewServedBundle(telemetry.Bundle{
		Name: b.Name(), Digest: b.Digest(), Stages: stageNames(b), Labels: b.Manifest.Labels,
	})
	if p := b.PacketProfile; p != nil {
		v.packetDrift = drift.NewWindow(p)
	}
	if p := b.MetaProfile; p != nil {
		v.headerlessDrift = drift.NewWindow(p)
	}
	var err error
	v.Batchers, err = NewBatchers(b.Packet, b.Meta, jobs, batch)
	return v, err
}

// Drift is how far the most recent flows are from the bundle's calibration, for
// each cascade with a reference.
func (v *servedBundle) Drift() (all []telemetry.Drift) {
	for _, one := range []struct {
		cascade string
		window  *drift.Window
	}{{"packet", v.packetDrift}, {"meta", v.headerlessDrift}} {
		if one.window == nil {
			continue
		}
		d := telemetry.Drift{Cascade: one.cascade}
		var indexes []drift.Index
		d.Flows, indexes = one.window.Read()
		for _, i := range indexes {
			d.PSI = append(d.PSI, telemetry.PSI{Of: i.Of, Value: i.PSI})
		}
		all = append(all, d)
	}
	return all
}

// Released is closed when no shard serves the bundle any more.
func (v *servedBundle) Released() <-chan struct{} { return v.released }

// Close frees everything but the bundle itself, when no shard serves it.
func (v *servedBundle) Close() error {
	v.Metrics.Retire()
	return v.Batchers.Close()
}

func stageNames(b *bundle.Bundle) (names []string) {
	for _, c := range []*cascade.Cascade{b.Packet, b.Meta} {
		if c != nil {
			for _, stage := range c.Stages {
				names = append(names, stage.Name)
			}
		}
	}
	return names
}

// shardBundle is a shard's own part of a served bundle.
type shardBundle struct {
	served             *servedBundle
	packet, headerless *cascadeRun
	decided            *telemetry.Decisions
	model              string   // the bundle's name and version
	agreeing           []string // names that agree with each class's label, as bundle.Manifest.Services has them
	undecided          int      // flows that are not decided
	installed          chan struct{}
}

// newBundle makes the shard's part of a bundle, warmed up. It may be called while
// the shard runs.
func (s *Shard) newBundle(v *servedBundle) (*shardBundle, error) {
	p := &shardBundle{
		served: v, model: v.Bundle.Name(), agreeing: v.Bundle.Manifest.Services(),
		decided:   v.Metrics.NewShard(s.options.Metrics),
		installed: make(chan struct{}),
	}
	v.refs.Add(1)
	stages := 0
	var err error
	if p.packet, err = newCascadeRun(v.Bundle.Packet, v.Batchers.Packet, v.packetDrift, &stages); err == nil {
		p.headerless, err = newCascadeRun(v.Bundle.Meta, v.Batchers.Headerless, v.headerlessDrift, &stages)
	}
	for _, c := range []*cascadeRun{p.packet, p.headerless} {
		if err == nil && c != nil {
			err = c.runner.Warm()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bundle %s: %w", p.model, err), p.Close())
	}
	return p, nil
}

// Close frees a bundle that the shard does not serve.
func (p *shardBundle) Close() error {
	err := errors.Join(p.packet.close(), p.headerless.close())
	p.release()
	return err
}

// release notes that the shard does not serve the bundle.
func (p *shardBundle) release() {
	if p.served.refs.Add(-1) == 0 {
		close(p.served.released)
	}
}

// Serve begins new flows with the bundle, from between two batches on. Flows in
// progress finish with the bundle they began with. No more than MaxBundles may be
// served at a time.
func (s *Shard) Serve(p *shardBundle) { s.installs <- p }

// Installed is closed when the shard serves the bundle.
func (p *shardBundle) Installed() <-chan struct{} { return p.installed }

// install begins to serve a bundle.
func (s *Shard) install(p *shardBundle) {
	for i := range s.bundles {
		if s.bundles[i] == nil {
			s.bundles[i], s.newestBundle = p, uint8(i)
			s.table.SetMaxPackets(p.served.Bundle.Packets())
			close(p.installed)
			return
		}
	}
	panic("shard: too many services")
}

// publishDrift adds what was counted for drift to the windows shared by all shards.
func (s *Shard) publishDrift() {
	for _, p := range &s.bundles {
		if p != nil {
			p.packet.publishDrift()
			p.headerless.publishDrift()
		}
	}
}

// closeUnused frees the earlier bundles whose last flow is decided.
func (s *Shard) closeUnused() {
	for i, p := range &s.bundles {
		if p != nil && p.undecided == 0 && i != int(s.newestBundle) {
			s.bundles[i] = nil
			if err := p.Close(); err != nil {
				s.options.OnError(err)
			}
		}
	}
}

// closeBundles frees all bundles when the shard has ended.
func (s *Shard) closeBundles() error {
	var errs []error
	for _, p := range &s.bundles {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// abandon lets all bundles go after a panic, without a call to their models.
func (s *Shard) abandon() {
	for _, p := range &s.bundles {
		if p != nil {
			p.release()
		}
	}
}
