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

	"serveflow/sidecar/operate/sdnotify"
	"serveflow/sidecar/operate/telemetry"
)

// drainTime is how long a sidecar that is stopping tries to send labels, and then how
// long what runs beside it has to end.
const drainTime = 10 * time.Second

// supervisor is a sidecar with what runs beside it.
type supervisor struct {
	*Sidecar
	options   Options
	signals   *Signals
	reloading atomic.Int64 // when the reload under way began, Unix time in ns; 0: none is
}

// Serve runs a sidecar until ctx is done or SIGTERM or SIGINT comes, then lets
// it drain; a second signal, a second or more after the first, ends it at once.
// SIGHUP opens the logs again and reloads the bundle, neither of which waits for the
// other. systemd is told how it is doing.
func Serve(ctx context.Context, signals *Signals, o Options) error {
	var metrics net.Listener
	address := "" // which port, if the configuration says 0
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

// startTasks runs everything beside the sidecar until ctx is done.
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
	group.Go(func() error { return onEach(ctx, s.signals.reopen, s.reopen) })
	if s.options.Load != nil {
		group.Go(func() error { return onEach(ctx, s.signals.reload, s.reload) })
	}
	return group
}

// onEach calls do for each signal until ctx is done.
func onEach(ctx context.Context, signals <-chan os.Signal, do func()) error {
	for {
		select {
		case <-signals:
			do()
		case <-ctx.Done():
			return nil
		}
	}
}

// waitTasks waits for what runs beside the sidecar; a bundle that is never read to its end
// holds nothing up.
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

// drain stops the sidecar, unless another signal comes before that is done.
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

// notify tells systemd; that it cannot is worth no more than a line.
func (s *supervisor) notify(say func() error) {
	if err := say(); err != nil {
		s.options.Log.Warn().Err(err).Msg("notifying systemd failed")
	}
}

// reopen opens the logs again.
func (s *supervisor) reopen() {
	if err := s.Reopen(); err != nil {
		s.options.Log.Error().Err(err).Msg("SIGHUP: reopening the logs failed")
	} else {
		s.options.Log.Info().Msg("SIGHUP: logs reopened")
	}
}

// reloadTime is how long the reload under way has taken.
func (s *supervisor) reloadTime() time.Duration {
	if began := s.reloading.Load(); began != 0 {
		return time.Since(time.Unix(0, began))
	}
	return 0
}

// reload serves the bundle that the configuration names now.
func (s *supervisor) reload() {
	s.notify(sdnotify.Reloading)
	defer s.notify(sdnotify.Ready)
	s.reloading.Store(time.Now().UnixNano())
	defer s.reloading.Store(0)
	defer addThread()()
	o := s.options
	c, b, err := o.Load()
	applied := false
	if err != nil {
		s.Metrics.Reloaded(telemetry.ReloadRefused)
	} else {
		if tables := o.Config.Differs(c); len(tables) > 0 {
			o.Log.Warn().Strs("tables", tables).Msg("SIGHUP: settings of these tables have changed; they take effect after a restart")
		}
		applied, err = s.Reload(b)
	}
	serving := s.pool.Bundle()
	switch {
	case err != nil:
		o.Log.Error().Err(err).Str("serving", serving.Name()).Msg("SIGHUP: new bundle refused; the previous one is still served")
	case applied:
		o.Log.Info().Str("bundle", serving.Name()).Str("digest", serving.Digest()).Msg("SIGHUP: new bundle is served")
	default:
		o.Log.Info().Str("bundle", serving.Name()).Msg("SIGHUP: bundle unchanged")
	}
}

// addThread has Go use a thread more than it does, until the function that it returns
// is called. Loading computes, and so does the garbage collector after it: with no
// thread to spare, Go would let them run for 10 ms while a shard that has events
// waits; the kernel shares the processors sooner.
func addThread() (over func()) {
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
