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

// MaxServices is how many bundles a shard may serve at a time: the one that new
// flows go to, and those that flows in progress began with.
const MaxServices = 8

// Service is a bundle that shards serve, and what they share of it.
type Service struct {
	Bundle   *bundle.Bundle
	Counted  *telemetry.Serving
	Batchers Batchers
	// packet and meta are the last flows of each cascade; nil if the bundle does
	// not tell what they should be like.
	packet, meta *drift.Window
	held         atomic.Int32 // shards that serve it
	over         chan struct{}
}

// NewService returns a service that no shard serves yet; for each batched stage
// it has so many jobs, of which batch are asked at once.
func NewService(b *bundle.Bundle, jobs, batch int, m *telemetry.Metrics) (*Service, error) {
	v := &Service{Bundle: b, over: make(chan struct{})}
	v.Counted = m.NewServing(telemetry.Bundle{
		Name: b.Name(), Digest: b.Digest(), Stages: stageNames(b), Labels: b.Manifest.Labels,
	})
	if p := b.PacketProfile; p != nil {
		v.packet = drift.NewWindow(p)
	}
	if p := b.MetaProfile; p != nil {
		v.meta = drift.NewWindow(p)
	}
	var err error
	v.Batchers, err = NewBatchers(b.Packet, b.Meta, jobs, batch)
	return v, err
}

// Drift is how far the last flows are from those that the bundle was calibrated
// on, for each cascade of which it tells.
func (v *Service) Drift() (all []telemetry.Drift) {
	for _, one := range []struct {
		cascade string
		window  *drift.Window
	}{{"packet", v.packet}, {"meta", v.meta}} {
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

// Over is closed when no shard serves the service any more.
func (v *Service) Over() <-chan struct{} { return v.over }

// Close frees all but the bundle, when no shard serves the service.
func (v *Service) Close() error {
	v.Counted.Retire()
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

// Share is a shard's own part of a service.
type Share struct {
	service      *Service
	packet, meta *cascadeRun
	decided      *telemetry.Decisions
	model        string   // the bundle's name and version
	services     []string // names that agree with each class's label, as bundle.Manifest.Services has them
	flows        int      // that are not decided
	taken        chan struct{}
}

// Prepare makes the shard's share of a service, warmed up. It may be called
// while the shard runs.
func (s *Shard) Prepare(v *Service) (*Share, error) {
	p := &Share{
		service: v, model: v.Bundle.Name(), services: v.Bundle.Manifest.Services(),
		decided: v.Counted.NewShard(s.options.Metrics),
		taken:   make(chan struct{}),
	}
	v.held.Add(1)
	stages := 0
	var err error
	if p.packet, err = newCascadeRun(v.Bundle.Packet, v.Batchers.Packet, v.packet, &stages); err == nil {
		p.meta, err = newCascadeRun(v.Bundle.Meta, v.Batchers.Meta, v.meta, &stages)
	}
	for _, c := range []*cascadeRun{p.packet, p.meta} {
		if err == nil && c != nil {
			err = c.runner.Warm()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bundle %s: %w", p.model, err), p.Close())
	}
	return p, nil
}

// Close frees a share that no shard has taken.
func (p *Share) Close() error {
	err := errors.Join(p.packet.close(), p.meta.close())
	if p.service.held.Add(-1) == 0 {
		close(p.service.over)
	}
	return err
}

// Take gives new flows to the share, from some moment between two batches on.
// Flows in progress finish with the service they began with. No more than
// MaxServices may be served at a time.
func (s *Shard) Take(p *Share) { s.next <- p }

// Taken is closed when the shard has taken the share.
func (p *Share) Taken() <-chan struct{} { return p.taken }

// take begins to serve a share.
func (s *Shard) take(p *Share) {
	for i := range s.shares {
		if s.shares[i] == nil {
			s.shares[i], s.newest = p, uint8(i)
			s.table.Want(p.service.Bundle.Packets())
			close(p.taken)
			return
		}
	}
	panic("shard: too many services")
}

// handOver gives what was counted of flows' drift to those who look at it.
func (s *Shard) handOver() {
	for _, p := range &s.shares {
		if p != nil {
			p.packet.handOver()
			p.meta.handOver()
		}
	}
}

// retire frees the shares whose last flow is decided.
func (s *Shard) retire() {
	for i, p := range &s.shares {
		if p != nil && p.flows == 0 && i != int(s.newest) {
			s.shares[i] = nil
			if err := p.Close(); err != nil {
				s.options.OnError(err)
			}
		}
	}
}

// closeShares frees all shares: the shard has come to its end.
func (s *Shard) closeShares() error {
	var errs []error
	for _, p := range &s.shares {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}
