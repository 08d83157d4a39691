package unixsocket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Of several that are started together one gets the place, also where a socket that
// nobody answers on is in it; after it has closed another does.
func TestOneOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	for round := range 50 {
		if round%2 == 1 { // a socket that is left over
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}
		var all sync.WaitGroup
		var ready atomic.Int32
		got := make(chan *Listener, 5)
		for range 5 {
			all.Go(func() {
				l, err := Socket{Path: path, Mode: 0o600}.Listen()
				if err == nil {
					ready.Add(1)
					got <- l
				} else if !errors.Is(err, errLocked) && !strings.Contains(err.Error(), "is another serveflow running?") {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := ready.Load(); n != 1 {
			t.Fatalf("round %d: %d have the place", round, n)
		}
		if err := (<-got).Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A link in the place of the lock file is not followed, and a FIFO not waited for.
func TestPlantedLock(t *testing.T) {
	for name, plant := range map[string]func(string) error{
		"a link":      func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "victim"), path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(t.TempDir(), "s.sock")
		if err := plant(path + ".lock"); err != nil {
			t.Fatal(err)
		}
		if l, err := (Socket{Path: path, Mode: 0o600}).Listen(); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "victim")); err == nil {
			t.Errorf("%s was followed", name)
		}
	}
	path := filepath.Join(t.TempDir(), "s.sock")
	if err := syscall.Mkfifo(path+".lock", 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if l, err := (Socket{Path: path, Mode: 0o600}).Listen(); err == nil {
			l.Close()
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it waits")
	}
}

// Nobody can connect before mode and owner are right, whatever the umask: until then
// the socket is where others cannot go.
func TestNobodyComesEarly(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	path := filepath.Join(dir, "s.sock")
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				info, err := e.Info()
				if err != nil {
					continue
				}
				open := info.Mode().Perm()&0o077 != 0
				if open || info.Mode().Type() == os.ModeSocket && e.Name() != "s.sock" {
					t.Errorf("%s is there with %v", e.Name(), info.Mode())
					return
				}
			}
		}
	})
	for range 200 {
		l, err := Socket{Path: path, Mode: 0o600}.Listen()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(over)
	watching.Wait()
}
