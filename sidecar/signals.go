package sidecar

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Signals are those that steer a sidecar: SIGTERM and SIGINT stop it, SIGHUP has it
// open its logs again and load its bundle. They wait here until somebody is ready
// for them, so that none ends the process.
type Signals struct {
	stop           chan os.Signal
	reopen, reload chan os.Signal // one SIGHUP that waits stands for all that come meanwhile
}

// TakeSignals takes the signals. It comes first, before anything that takes time.
func TakeSignals() *Signals {
	s := &Signals{stop: make(chan os.Signal, 4), reopen: make(chan os.Signal, 1), reload: make(chan os.Signal, 1)}
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reopen, syscall.SIGHUP)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

// Release gives the signals back.
func (s *Signals) Release() {
	for _, c := range []chan os.Signal{s.stop, s.reopen, s.reload} {
		signal.Stop(c)
	}
}

// Until waits until load returns, with its error, or until a signal says to stop:
// then it returns false at once, and load may still be running.
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

// sameSignal is how long after a signal to stop another is the same: a process group
// and its leader may both get one, as from timeout(1) and from tini -g.
const sameSignal = time.Second

// secondStop returns when another signal to stop comes, unless ctx is done before; taken
// is when the first came.
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
