package sidecar

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// grace is how long taps have to hear that a bundle wants more of each flow
// before flows go to it.
const grace = 250 * time.Millisecond

// errBusy refuses a reload while too many bundles are in use.
var errBusy = fmt.Errorf("flows in progress still use %d earlier bundles: try again in some seconds", shard.MaxServices-1)

// Reload serves b, which is the sidecar's to close from then on, unless it is
// the bundle that is served already: then it returns false. Where it returns
// false or an error, b is closed and what was served is served on.
//
// Every shard swaps between two batches. Flows in progress finish with the
// bundle they began with, which is freed when the last of them is decided; until
// then taps are asked for the greater need of all bundles in use.
func (s *Sidecar) Reload(b *bundle.Bundle) (bool, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	applied, err := s.reload(b)
	switch {
	case err != nil:
		s.Metrics.Reloaded(telemetry.ReloadRefused)
	case applied:
		s.Metrics.Reloaded(telemetry.ReloadApplied)
		return true, nil
	default:
		s.Metrics.Reloaded(telemetry.ReloadUnchanged)
	}
	return false, errors.Join(err, b.Close())
}

func (s *Sidecar) reload(b *bundle.Bundle) (bool, error) {
	inUse := s.inUse()
	if b.Digest() == inUse[len(inUse)-1].Bundle.Digest() {
		return false, nil
	}
	if len(inUse) >= shard.MaxServices {
		return false, errBusy
	}
	v, err := shard.NewService(b, s.options.Config.ONNX.Queue, s.options.Config.ONNX.Batch, s.Metrics)
	if err != nil {
		return false, err
	}
	shares := make([]*shard.Share, len(s.shards))
	for i, one := range s.shards {
		if shares[i], err = one.Prepare(v); err != nil {
			for _, p := range shares[:i] {
				err = errors.Join(err, p.Close())
			}
			return false, errors.Join(err, v.Close())
		}
	}
	s.warnQuiet(b)
	s.use(v)
	if s.announce() {
		time.Sleep(grace)
	}
	v.Counted.Begin()
	for i, one := range s.shards {
		one.Take(shares[i])
	}
	for _, p := range shares {
		<-p.Taken()
	}
	s.await(v, b)
	return true, nil
}

// await frees a service, and a bundle that is ours, when no shard serves it any
// more.
func (s *Sidecar) await(v *shard.Service, owned *bundle.Bundle) {
	s.drained.Go(func() {
		<-v.Over()
		s.leave(v)
		s.announce()
		err := v.Close()
		if owned != nil {
			err = errors.Join(err, owned.Close())
		}
		if err != nil {
			s.options.Log.Error().Err(err).Str("bundle", v.Bundle.Name()).Msg("freeing a bundle")
		}
	})
}

// inUse are the services that flows use, the newest last.
func (s *Sidecar) inUse() []*shard.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.services)
}

func (s *Sidecar) use(v *shard.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = append(s.services, v)
}

func (s *Sidecar) leave(v *shard.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = slices.DeleteFunc(s.services, func(other *shard.Service) bool { return other == v })
}

// announce tells the taps what the bundles in use need, and says whether that
// is more than before. What is told last is true: bundles may come and go at
// the same moment.
func (s *Sidecar) announce() bool {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	var w wire.Welcome
	for _, v := range s.inUse() {
		n := needs(v.Bundle, s.options.Config.Privacy.Payload)
		w.Packets, w.RawBytes, w.PayloadBytes = max(w.Packets, n.Packets), max(w.RawBytes, n.RawBytes), max(w.PayloadBytes, n.PayloadBytes)
	}
	if s.server == nil || w.Packets == 0 {
		return false
	}
	return s.server.Need(w)
}

// headerBytes is how much of a packet's headers a tap is asked for: room for the
// largest IPv4 and TCP headers, and for IPv6 with some extension headers.
const headerBytes = 192

// needs is what a bundle needs of a flow; payload says whether it may ask for
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

// depth is the number of flows that wait for a batched stage.
func (s *Sidecar) depth() (n int) {
	for _, v := range s.inUse() {
		n += v.Batchers.Depth()
	}
	return n
}

// drift is that of the bundle that new flows go to.
func (s *Sidecar) drift() []telemetry.Drift {
	inUse := s.inUse()
	if len(inUse) == 0 {
		return nil
	}
	return inUse[len(inUse)-1].Drift()
}
