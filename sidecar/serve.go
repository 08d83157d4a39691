package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/sdnotify"
	"serveflow/sidecar/operate/telemetry"
)

// drainTime is how long a stopping sidecar tries to send labels, and then how long
// its background tasks have to end.
const drainTime = 10 * time.Second

// supervisor is a sidecar with its background tasks.
type supervisor struct {
	*Sidecar
	options   Options
	signals   *Signals
	reloading atomic.Int64 // start of the current reload, Unix time in ns; 0: none
}

// Serve runs a sidecar until ctx is done or SIGTERM or SIGINT comes, then drains
// it; a second signal, a second or more after the first, ends it at once. SIGHUP
// reopens the logs and reloads the bundle, independently of each other. Serve
// reports the state to systemd.
func Serve(ctx context.Context, signals *Signals, o Options) error {
	var metrics net.Listener
	address := "" // with the port, if the configuration says 0
	if addr := o.Config.Telemetry.Listen; addr != "" {
		var err error
		if metrics, err = net.Listen("tcp", addr); err != nil {
			return fmt.Errorf("telemetry.listen: %w (choose another address, or \"\" for no metrics)", err)
		}
		address = metrics.Addr().String()
	}
	started, err := Start(o)
	if err != nil {
		if metrics != nil {
			metrics.Close()
		}
		return err
	}
	s := &supervisor{Sidecar: started, options: o, signals: signals}
	s.Memory.limit()
	s.Metrics.Read(telemetry.ReloadSeconds, func() int { return int(s.reloadTime() / time.Second) })
	background, cancel := context.WithCancel(ctx)
	defer cancel()
	beside := s.startTasks(background, metrics)

	ready := o.Log.Info().Str("socket", o.Config.Listen.Socket).Str("bundle", o.Bundle.Name()).
		Str("labels", o.Config.Labels.Path).Str("metrics", address)
	if o.Config.EVE.Listen != "" {
		ready = ready.Str("eve", o.Config.EVE.Listen)
	}
	ready.Msg("ready")
	s.notify(sdnotify.Ready)
	select {
	case <-ctx.Done():
	case sig := <-signals.stop:
		o.Log.Info().Stringer("signal", sig).Msg("stopping: draining")
	}
	taken := time.Now()
	s.notify(sdnotify.Stopping)
	if err := s.drain(ctx, taken); err != nil {
		return err
	}
	cancel()
	s.waitTasks(beside)
	o.Log.Info().Msg("stopped")
	return nil
}

// startTasks starts the background tasks, which run until ctx is done.
func (s *supervisor) startTasks(ctx context.Context, metrics net.Listener) *errgroup.Group {
	group := new(errgroup.Group)
	if metrics != nil {
		group.Go(func() error { return s.Metrics.Serve(ctx, metrics, s.Health) })
	}
	group.Go(func() error {
		// A restart would not help flows that wait, so Health is not asked.
		sdnotify.Watchdog(ctx, func() bool { return s.Alive() == nil }, func(err error) {
			s.options.Log.Error().Err(err).Msg("watchdog: systemd does not accept the message; retrying")
		})
		return nil
	})
	group.Go(func() error { s.reopenOnSignal(ctx); return nil })
	if s.options.Load != nil {
		group.Go(func() error { s.reloadOnSignal(ctx); return nil })
	}
	return group
}

// reopenOnSignal reopens the logs for each signal until ctx is done.
func (s *supervisor) reopenOnSignal(ctx context.Context) {
	for {
		select {
		case <-s.signals.reopen:
			s.reopen()
		case <-ctx.Done():
			return
		}
	}
}

// reloadOnSignal serves the configured bundle for each signal until ctx is done. If
// too many bundles are in use, it does so again when one of them no longer is.
func (s *supervisor) reloadOnSignal(ctx context.Context) {
	var freed <-chan struct{} // nil: no reload is due
	for {
		select {
		case <-s.signals.reload:
		case <-freed:
		case <-ctx.Done():
			return
		}
		freed = nil
		if errors.Is(s.reload(), shard.ErrBusy) {
			freed = s.pool.Freed()
		}
	}
}

// waitTasks waits for the background tasks, but not for a reload that never ends.
func (s *supervisor) waitTasks(beside *errgroup.Group) {
	ended := make(chan error, 1)
	go func() { ended <- beside.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			s.options.Log.Error().Err(err).Msg("background task failed")
		}
	case <-time.After(drainTime):
		s.options.Log.Warn().Msg("stopping: a reload is still in progress")
	}
}

var errSecondSignal = errors.New("stopped by a second signal before draining was complete")

// drain stops the sidecar, unless another signal comes first.
func (s *supervisor) drain(ctx context.Context, taken time.Time) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(stop) }()
	waiting, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	hurried := make(chan struct{})
	go func() {
		if s.signals.secondStop(waiting, taken) {
			close(hurried)
		}
	}()
	select {
	case err := <-stopped:
		return err
	case <-hurried:
		return errSecondSignal
	}
}

// notify notifies systemd. A failure is only logged.
func (s *supervisor) notify(say func() error) {
	if err := say(); err != nil {
		s.options.Log.Warn().Err(err).Msg("notifying systemd failed")
	}
}

// reopen reopens the logs.
func (s *supervisor) reopen() {
	if err := s.Reopen(); err != nil {
		s.options.Log.Error().Err(err).Msg("SIGHUP: reopening the logs failed")
	} else {
		s.options.Log.Info().Msg("SIGHUP: logs reopened")
	}
}

// reloadTime is the duration of the current reload, 0 if there is none.
func (s *supervisor) reloadTime() time.Duration {
	if began := s.reloading.Load(); began != 0 {
		return time.Since(time.Unix(0, began))
	}
	return 0
}

// reload serves the bundle that the configuration names now. An error was logged.
func (s *supervisor) reload() error {
	s.notify(sdnotify.Reloading)
	defer s.notify(sdnotify.Ready)
	s.reloading.Store(time.Now().UnixNano())
	defer s.reloading.Store(0)
	defer addThread()()
	o := s.options
	next, err := o.Load()
	applied := false
	if err != nil {
		s.Metrics.Reloaded(telemetry.ReloadRefused)
	} else {
		if tables := o.Config.Differs(next.Config); len(tables) > 0 {
			o.Log.Warn().Strs("tables", tables).Msg("SIGHUP: settings of these tables have changed; they take effect after a restart")
		}
		applied, err = s.Reload(next.Bundle)
		s.reloadShadow(next.Shadow)
	}
	serving := s.pool.Bundle()
	switch {
	case errors.Is(err, shard.ErrBusy):
		o.Log.Warn().Err(err).Str("serving", serving.Name()).Msg("SIGHUP: the new bundle waits; it is served when fewer are in use")
	case err != nil:
		o.Log.Error().Err(err).Str("serving", serving.Name()).Msg("SIGHUP: new bundle refused; the previous one is still served")
	case applied:
		o.Log.Info().Str("bundle", serving.Name()).Str("digest", serving.Digest()).Msg("SIGHUP: new bundle is served")
	default:
		o.Log.Info().Str("bundle", serving.Name()).Msg("SIGHUP: bundle unchanged")
	}
	return err
}

// reloadShadow has another bundle, or nil for none, decide beside the one that is served.
func (s *supervisor) reloadShadow(b *bundle.Bundle) {
	log := s.options.Log
	if s.shadow == nil {
		if b != nil { // there is no room for it: Differs has named its table
			b.Close()
		}
		return
	}
	applied, err := s.shadow.reload(b)
	switch name := s.shadow.name(); {
	case err != nil:
		log.Error().Err(err).Str("shadow", name).Msg("SIGHUP: the new shadow bundle is refused, or the previous one failed to end")
	case applied && name == "":
		log.Info().Msg("SIGHUP: no shadow bundle any more")
	case applied:
		log.Info().Str("shadow", name).Msg("SIGHUP: new shadow bundle decides; its counts begin again")
	}
}

// addThread lets Go use one more thread until the returned function is called.
// Loading a bundle computes, and so does the garbage collector after it: without a
// spare thread, Go would run them for 10 ms while a shard that has events waits;
// the kernel switches sooner.
func addThread() (over func()) {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n + 1)
	return func() {
		if os.Getenv("GOMAXPROCS") != "" {
			runtime.GOMAXPROCS(n)
		} else {
			runtime.SetDefaultGOMAXPROCS() // which follows the limits of a container
		}
	}
}
