package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listen plays systemd at an address.
func listen(t *testing.T, addr string) func() string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", addr)
	return func() string {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 512)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestStates(t *testing.T) {
	addresses := map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify.sock"),
		"abstract": fmt.Sprintf("@serveflow-notify-test-%d", os.Getpid()),
	}
	for name, addr := range addresses {
		t.Run(name, func(t *testing.T) {
			next := listen(t, addr)
			for _, c := range []struct {
				call func() error
				want string
			}{
				{Ready, "READY=1"},
				{Stopping, "STOPPING=1"},
			} {
				if err := c.call(); err != nil {
					t.Fatal(err)
				}
				if got := next(); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestReloading(t *testing.T) {
	next := listen(t, filepath.Join(t.TempDir(), "notify.sock"))
	var last int64
	for range 2 {
		if err := Reloading(); err != nil {
			t.Fatal(err)
		}
		usec, ok := strings.CutPrefix(next(), "RELOADING=1\nMONOTONIC_USEC=")
		n, err := strconv.ParseInt(usec, 10, 64)
		if !ok || err != nil || n <= last {
			t.Errorf("the clock reads %q after %d (%v)", usec, last, err)
		}
		last = n
		time.Sleep(time.Millisecond)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone.sock"))
	if err := Ready(); err == nil {
		t.Error("a socket that is gone gives no error")
	}
}

func TestWatchdog(t *testing.T) {
	next := listen(t, filepath.Join(t.TempDir(), "notify.sock"))
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	returned := make(chan struct{})
	go func() {
		// Sick the second time it is asked: that beat is left out.
		Watchdog(ctx, func() bool { asked++; return asked != 2 }, func(err error) { t.Error(err) })
		close(returned)
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	<-returned
	if asked < 4 {
		t.Errorf("three beats after %d questions, of which one was answered no", asked)
	}
}

// A message that cannot be sent is reported once, and those after it are sent again.
func TestWatchdogGoesOn(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "notify.sock")
	t.Setenv("NOTIFY_SOCKET", addr)
	t.Setenv("WATCHDOG_USEC", "15000")
	t.Setenv("WATCHDOG_PID", "")
	failures := make(chan error, 100)
	go Watchdog(t.Context(), func() bool { return true }, func(err error) { failures <- err })
	<-failures
	time.Sleep(30 * time.Millisecond) // some more that nobody takes
	next := listen(t, addr)
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	if n := len(failures); n != 0 {
		t.Errorf("%d more failures of the same series were reported", n)
	}
}

func TestInterval(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", "", 10 * time.Second},
		{"30000000", own, 10 * time.Second},
		{"30000000", "1", 0}, // meant for another process
		{"", own, 0},
		{"0", own, 0},
		{"-5", own, 0},
		{"soon", own, 0},
		{"9223372036854775807", own, 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := interval(); got != c.want {
			t.Errorf("WATCHDOG_USEC=%q WATCHDOG_PID=%q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}
