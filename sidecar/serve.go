package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"serveflow/sidecar/operate/sdnotify"
	"serveflow/sidecar/operate/telemetry"
)

// drainTime is how long a sidecar that was told to stop tries to send labels.
const drainTime = 10 * time.Second

// Serve runs a sidecar until ctx is done or SIGTERM or SIGINT comes, then lets
// it drain; a second signal ends it at once. SIGHUP opens the logs anew and
// reloads the bundle.
// systemd is told how it is doing.
func Serve(ctx context.Context, o Options) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	var metrics net.Listener
	address := "" // which port, if the configuration says 0
	if addr := o.Config.Telemetry.Listen; addr != "" {
		var err error
		if metrics, err = net.Listen("tcp", addr); err != nil {
			return fmt.Errorf("telemetry.listen: %w (choose another address, or \"\" to do without metrics)", err)
		}
		address = metrics.Addr().String()
	}
	s, err := Start(o)
	if err != nil {
		if metrics != nil {
			metrics.Close()
		}
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if metrics != nil {
		go func() {
			if err := s.Metrics.Serve(inner, metrics, s.Health); err != nil {
				o.Log.Error().Err(err).Msg("metrics")
			}
		}()
	}
	go func() {
		sdnotify.Watchdog(inner, func() bool { return s.Health() == nil }, func(err error) {
			o.Log.Error().Err(err).Msg("watchdog: systemd does not take the message; trying on")
		})
	}()
	ready := o.Log.Info().Str("socket", o.Config.Listen.Socket).Str("bundle", o.Bundle.Name()).
		Str("labels", o.Config.Labels.Path).Str("metrics", address)
	if o.Config.EVE.Listen != "" {
		ready = ready.Str("eve", o.Config.EVE.Listen)
	}
	ready.Msg("ready")
	if err := sdnotify.Ready(); err != nil {
		o.Log.Warn().Err(err).Msg("systemd")
	}
	hangUps := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-hangUps:
				s.hangUp(o)
			case <-inner.Done():
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				select {
				case hangUps <- struct{}{}:
				default: // one is still to be dealt with, and will do
				}
				continue
			}
			o.Log.Info().Stringer("signal", sig).Msg("stopping: draining")
			running = false
		}
	}
	stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancelStop()
	if err := errors.Join(sdnotify.Stopping(), s.stopUnless(stop, signals)); err != nil {
		return err
	}
	o.Log.Info().Msg("stopped")
	return nil
}

// hangUp is what SIGHUP asks for.
func (s *Sidecar) hangUp(o Options) {
	if err := sdnotify.Reloading(); err != nil {
		o.Log.Warn().Err(err).Msg("systemd")
	}
	if err := s.Reopen(); err != nil {
		o.Log.Error().Err(err).Msg("SIGHUP: opening the logs anew")
	} else {
		o.Log.Info().Msg("SIGHUP: logs opened anew")
	}
	if o.Load != nil {
		s.loadAnew(o)
	}
	if err := sdnotify.Ready(); err != nil {
		o.Log.Warn().Err(err).Msg("systemd")
	}
}

// loadAnew takes over the bundle that the configuration names now.
func (s *Sidecar) loadAnew(o Options) {
	defer spread()()
	c, b, err := o.Load()
	applied := false
	if err != nil {
		s.Metrics.Reloaded(telemetry.ReloadRefused)
	} else {
		if tables := o.Config.Differs(c); len(tables) > 0 {
			o.Log.Warn().Strs("tables", tables).Msg("SIGHUP: these settings have changed, and need a restart")
		}
		applied, err = s.Reload(b)
	}
	serving := s.pool.Bundle()
	switch {
	case err != nil:
		o.Log.Error().Err(err).Str("serving", serving.Name()).Msg("SIGHUP: the bundle is refused, the one before is served on")
	case applied:
		o.Log.Info().Str("bundle", serving.Name()).Str("digest", serving.Digest()).Msg("SIGHUP: the bundle is served from now on")
	default:
		o.Log.Info().Str("bundle", serving.Name()).Msg("SIGHUP: the bundle is the same")
	}
}

// spread has Go use a thread more than it does, until the function that it returns
// is called. Loading computes, and so does the garbage collector after it: with no
// thread to spare, Go would let them run for 10 ms while a shard that has events
// waits; the kernel shares the processors sooner.
func spread() (over func()) {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n + 1)
	return func() {
		if os.Getenv("GOMAXPROCS") != "" {
			runtime.GOMAXPROCS(n)
		} else {
			runtime.SetDefaultGOMAXPROCS() // which goes on to follow the limits of a container
		}
	}
}

var errImpatient = errors.New("stopped by a second signal before everything was drained")

// stopUnless stops the sidecar, unless another signal comes before that is
// done.
func (s *Sidecar) stopUnless(ctx context.Context, signals <-chan os.Signal) error {
	done := make(chan error, 1)
	go func() { done <- s.Stop(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return errImpatient
			}
		}
	}
}
