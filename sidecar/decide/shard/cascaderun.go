package shard

import (
	"errors"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/features/packet"
)

// batcher asks a batched stage about flows of all shards.
type batcher = cascade.Batcher[pending]

// Batchers are the batched stages of a bundle, shared by all shards: one entry for
// each stage of a cascade, nil where the stage is not batched.
type Batchers struct {
	Packet, Headerless []*batcher
}

// NewBatchers starts a batcher with so many jobs for every batched stage.
func NewBatchers(packet, meta *cascade.Cascade, jobs, batch int) (b Batchers, err error) {
	if b.Packet, err = newBatchers(packet, jobs, batch); err == nil {
		b.Headerless, err = newBatchers(meta, jobs, batch)
	}
	if err != nil {
		return Batchers{}, errors.Join(err, b.Close())
	}
	return b, nil
}

func newBatchers(c *cascade.Cascade, jobs, batch int) ([]*batcher, error) {
	if c == nil {
		return nil, nil
	}
	all := make([]*batcher, len(c.Stages))
	for i, stage := range c.Stages {
		if !stage.Batched {
			continue
		}
		var err error
		if all[i], err = cascade.NewBatcher[pending](c, i, jobs, batch); err != nil {
			return all, err
		}
	}
	return all, nil
}

// Depth is the number of flows that wait for a batched stage.
func (b Batchers) Depth() (n int) {
	b.each(func(one *batcher) { n += one.Depth() })
	return n
}

// Close stops the batchers, after the last shard has returned.
func (b Batchers) Close() error {
	var errs []error
	b.each(func(one *batcher) { errs = append(errs, one.Close()) })
	return errors.Join(errs...)
}

func (b Batchers) jobs() (n int) {
	b.each(func(one *batcher) { n += one.Jobs() })
	return n
}

func (b Batchers) each(do func(*batcher)) {
	for _, all := range [][]*batcher{b.Packet, b.Headerless} {
		for _, one := range all {
			if one != nil {
				do(one)
			}
		}
	}
}

// cascadeRun is one cascade as a shard runs it.
type cascadeRun struct {
	*cascade.Cascade
	runner     *cascade.Runner
	gathered   [][]pending // by stage, in the order of runner
	batchers   []*batcher
	firstStage int // number of its first stage among the stages of all cascades
	window     *drift.Window
	counter    *drift.Counter // of the window, nil with it
}

func newCascadeRun(c *cascade.Cascade, b []*batcher, w *drift.Window, stages *int) (_ *cascadeRun, err error) {
	if c == nil {
		return nil, nil
	}
	made := &cascadeRun{Cascade: c, batchers: b, firstStage: *stages, window: w, gathered: make([][]pending, len(c.Stages))}
	for i := range made.gathered {
		made.gathered[i] = make([]pending, 0, cascade.MaxBatch)
	}
	*stages += len(c.Stages)
	if w != nil {
		if made.counter, err = w.NewCounter(); err != nil {
			return nil, err
		}
	}
	if made.runner, err = c.NewRunner(); err != nil {
		return nil, err
	}
	return made, nil
}

// count counts a decided flow for drift, unless load or missing packets decided it
// rather than the cascade.
func (c *cascadeRun) count(o outcome, why cascade.Reason, packets []packet.Packet) {
	if why.ByCascade() && c.counter != nil {
		c.counter.Count(o.class, o.stage, o.score, packets[:o.packets])
	}
}

// publishDrift adds what was counted to the window.
func (c *cascadeRun) publishDrift() {
	if c != nil && c.counter != nil {
		c.window.Take(c.counter)
	}
}

func (c *cascadeRun) close() error {
	if c == nil {
		return nil
	}
	return c.runner.Close()
}
