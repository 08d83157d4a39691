package sidecar

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
)

// A signal to stop while the bundle is loaded ends the loading; SIGHUP waits.
func TestSignalsWhileLoading(t *testing.T) {
	signals := TakeSignals()
	defer signals.Release()
	trouble := errors.New("trouble")
	if loaded, err := signals.Until(func() error { return trouble }); !loaded || err != trouble {
		t.Errorf("%v, %v", loaded, err)
	}
	never := make(chan struct{})
	defer close(never)
	loaded, err := signals.Until(func() error {
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM} {
			syscall.Kill(os.Getpid(), sig)
		}
		<-never
		return nil
	})
	if loaded || err != nil {
		t.Errorf("%v, %v", loaded, err)
	}
	for name, c := range map[string]chan os.Signal{"reopen": signals.reopen, "reload": signals.reload} {
		select {
		case <-c:
		case <-time.After(5 * time.Second):
			t.Errorf("no SIGHUP waits for %s", name)
		}
	}
}

// A reload that hangs shows in a metric, and neither keeps the logs from being opened
// again nor the sidecar from stopping.
func TestReloadHangs(t *testing.T) {
	b, err := bundle.Open("../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	dir := t.TempDir()
	c := config.Default()
	c.Listen.Socket, c.Labels.Path, c.Telemetry.Listen = filepath.Join(dir, "s.sock"), filepath.Join(dir, "labels.jsonl"), ""
	never, loading := make(chan struct{}), make(chan struct{}, 1)
	o := Options{Config: c, Bundle: b, Log: zerolog.Nop(), Load: func() (Loaded, error) {
		loading <- struct{}{}
		<-never
		return Loaded{}, errors.New("at last")
	}}
	started, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	signals := TakeSignals()
	defer signals.Release()
	s := &supervisor{Sidecar: started, options: o, signals: signals}
	ctx, cancel := context.WithCancel(t.Context())
	beside := s.startTasks(ctx, nil)
	if s.reloadTime() != 0 {
		t.Error("a reload is under way")
	}
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	<-loading
	for range 2 { // the first one of which may have been answered by the signal above
		if err := os.Rename(c.Labels.Path, c.Labels.Path+".old"); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(os.Getpid(), syscall.SIGHUP)
		for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(c.Labels.Path); err == nil {
				break
			} else if time.Now().After(until) {
				t.Fatal("the label log is not opened again")
			}
		}
	}
	if s.reloadTime() == 0 {
		t.Error("no reload is under way")
	}
	if err := s.drain(ctx, time.Now()); err != nil {
		t.Error(err)
	}
	close(never)
	cancel()
	s.waitTasks(beside)
	if s.reloadTime() != 0 {
		t.Error("the reload is not over")
	}
}
