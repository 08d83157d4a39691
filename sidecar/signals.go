package sidecar

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Signals are the signals that control a sidecar: SIGTERM and SIGINT stop it,
// SIGHUP reopens its logs and reloads its bundle. They are queued here until they
// are handled, so that none ends the process.
type Signals struct {
	stop           chan os.Signal
	reopen, reload chan os.Signal // one queued SIGHUP stands for all that come meanwhile
}

// TakeSignals installs the handlers. It must be called before anything that takes
// time.
func TakeSignals() *Signals {
	s := &Signals{stop: make(chan os.Signal, 4), reopen: make(chan os.Signal, 1), reload: make(chan os.Signal, 1)}
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reopen, syscall.SIGHUP)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

// Release removes the handlers.
func (s *Signals) Release() {
	for _, c := range []chan os.Signal{s.stop, s.reopen, s.reload} {
		signal.Stop(c)
	}
}

// Until waits for load and returns its error, or returns false at once if a signal
// to stop comes; then load may still be running.
func (s *Signals) Until(load func() error) (loaded bool, err error) {
	done := make(chan error, 1)
	go func() { done <- load() }()
	select {
	case err := <-done:
		return true, err
	case <-s.stop:
		return false, nil
	}
}

// sameSignal is how soon after a signal to stop another one counts as the same: a
// process group and its leader may both get one, as from timeout(1) and from tini
// -g.
const sameSignal = time.Second

// secondStop returns true when another signal to stop comes, false when ctx is
// done; taken is when the first came.
func (s *Signals) secondStop(ctx context.Context, taken time.Time) bool {
	for {
		select {
		case <-s.stop:
			if time.Since(taken) >= sameSignal {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}
