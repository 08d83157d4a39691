package sidecar

import (
	"errors"
	"fmt"
	"sync"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/labellog"
)

// shadow is a second bundle that decides the flows of the sidecar again. Whatever
// becomes of it, the bundle that is served goes on.
type shadow struct {
	sidecar   *Sidecar
	labels    *labellog.Log // nil if Options.ShadowDecisions is set
	decisions shard.Log

	reloading sync.Mutex // held while a bundle is begun or ended
	mu        sync.Mutex
	running   *runningShadow // nil: none
	closed    bool
}

// runningShadow is a shadow from one reload to the next.
type runningShadow struct {
	pool    *shard.Pool
	metrics *telemetry.Shadow
	bundle  *bundle.Bundle
	owned   bool // the bundle is the shadow's to close
}

func (s *Sidecar) startShadow(o Options) (err error) {
	s.shadow = &shadow{sidecar: s, decisions: o.ShadowDecisions}
	if s.shadow.decisions == nil {
		c := o.Config.Shadow
		if s.shadow.labels, err = s.openLog("shadow's label log", config.Labels{Path: c.Path, MaxSize: c.MaxSize, Keep: c.Keep}); err != nil {
			return fmt.Errorf("shadow.path: %w", err)
		}
		s.shadow.decisions = s.shadow.labels
	}
	return s.shadow.begin(o.Shadow, false)
}

// begin has a bundle decide from now on, in place of the one before, whose counts end
// with it.
func (h *shadow) begin(b *bundle.Bundle, owned bool) error {
	h.sidecar.warnUnlikeTraining(b)
	next, err := h.start(b, owned)
	if err != nil {
		return fmt.Errorf("shadow bundle %s: %w", b.Name(), err)
	}
	h.sidecar.pool.Follow(next.pool)
	h.sidecar.Metrics.Warn("shadow", nil)
	return h.swap(next)
}

// swap ends what has run before.
func (h *shadow) swap(next *runningShadow) error {
	h.mu.Lock()
	before := h.running
	h.running = next
	h.mu.Unlock()
	if before == nil {
		return nil
	}
	err := before.pool.Stop()
	if before.owned {
		err = errors.Join(err, before.bundle.Close())
	}
	return err
}

// start starts the pool of a bundle.
func (h *shadow) start(b *bundle.Bundle, owned bool) (_ *runningShadow, err error) {
	defer func() { // a model may panic while it is warmed up
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	s := h.sidecar
	m := telemetry.NewShadow(telemetry.Options{Version: s.options.Version, Reasons: cascade.ReasonNames()}, h.dropped)
	log := s.options.Log.With().Str("shadow", b.Name()).Logger()
	o := poolOptions(&s.options.Config, b, m.Metrics, log)
	o.Shard.MaxFlows, o.Shard.PacketBytes = s.Memory.ShadowFlows, s.Memory.shadowPackets
	o.Shard.Queue = s.Memory.shadowBatches
	o.Shard.Suppress, o.Shard.Log = suppressRules(s.options.Config.Suppress), h.decisions
	o.Leader, o.Shadow = s.pool, m
	o.OnFailure = func(err error) {
		log.Error().Err(err).Msg("the shadow bundle has failed and is given no more flows; the labels of the bundle that is served are not affected")
		s.Metrics.Warn("shadow", []string{fmt.Sprintf("shadow: %s has failed and is given no more flows; the log says why, and a reload with another bundle begins again", b.Name())})
	}
	pool, err := shard.NewPool(o)
	if err != nil {
		return nil, err
	}
	return &runningShadow{pool, m, b, owned}, nil
}

// reload has b, which the shadow owns from now on, decide in place of the bundle before;
// nil: none decides.
func (h *shadow) reload(b *bundle.Bundle) (applied bool, err error) {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.mu.Lock()
	running, closed := h.running, h.closed
	h.mu.Unlock()
	switch {
	case closed && b == nil:
		return false, nil
	case closed:
		return false, errors.Join(shard.ErrStopped, b.Close())
	case b == nil && running == nil:
		return false, nil
	case b == nil:
		h.sidecar.pool.Follow(nil)
		return true, h.swap(nil)
	case running != nil && running.bundle.Digest() == b.Digest() && !running.pool.Failed():
		return false, b.Close()
	}
	if err := h.begin(b, true); err != nil {
		return false, errors.Join(err, b.Close())
	}
	return true, nil
}

// read is the metrics of what runs, nil if nothing does.
func (h *shadow) read() *telemetry.Shadow {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		return nil
	}
	return h.running.metrics
}

// name is that of the bundle, "" for none.
func (h *shadow) name() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		return ""
	}
	return h.running.bundle.Name()
}

// dropped is how many lines the log has dropped.
func (h *shadow) dropped() int {
	if h.labels == nil {
		return 0
	}
	return int(h.labels.Stats().Dropped)
}

// close ends the shadow, after the pool that it follows.
func (h *shadow) close() error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	err := h.swap(nil)
	if h.labels != nil {
		err = errors.Join(err, h.labels.Close())
	}
	return err
}
