package unixsocket

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSocketTakesOnlyItsOwnPlace(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{"empty", func(*testing.T, string) {}, ""},
		{"a socket that nobody answers on", func(t *testing.T, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}, ""},
		{"a socket that somebody answers on", func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}, "is another serveflow running?"},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket"},
		{"a link to a file", func(t *testing.T, path string) {
			if err := os.Symlink("/etc/passwd", path); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.sock")
			test.prepare(t, path)
			l, err := Socket{Path: path, Mode: 0o620}.Listen()
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != os.ModeSocket|0o620 {
				t.Errorf("made %v, %v", info.Mode(), err)
			}
			entries, _ := os.ReadDir(filepath.Dir(path))
			if len(entries) != 2 || entries[1].Name() != "s.sock.lock" {
				t.Errorf("beside it: %v", entries)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
				t.Errorf("left over: %v", entries)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Error("the socket is still there")
			}
		})
	}
}

func TestSocketErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		socket Socket
		want   string
	}{
		{"unknown group", Socket{Path: filepath.Join(dir, "a"), Group: "no-such-group-here"}, "groupadd"},
		{"unknown user", Socket{Path: filepath.Join(dir, "a"), Owner: "no-such-user-here"}, "owner"},
		{"no directory", Socket{Path: filepath.Join(dir, "x", "y", "s.sock")}, "create the socket's directory"},
		{"long path", Socket{Path: filepath.Join(dir, strings.Repeat("x", 120))}, "a socket path may have"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.socket.Listen(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestSocketDirectoryIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s.sock")
	l, err := Socket{Path: path, Mode: 0o660}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// A socket that was put in our socket's place stays there.
func TestCloseLeavesAnothersSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := Socket{Path: path, Mode: 0o660}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path) // another program's, which knows no lock
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// What connects is given to the handler with its credentials, until Close.
func TestServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := Socket{Path: path, Mode: 0o600}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	pids := make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Serve(func(conn *net.UnixConn) {
			pid, uid, err := Credentials(conn)
			if err != nil || int(uid) != os.Getuid() {
				t.Errorf("user %d, %v", uid, err)
			}
			conn.Close()
			pids <- pid
		}, func(err error) { t.Error(err) })
	}()
	for range 3 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if pid := <-pids; pid != os.Getpid() {
			t.Errorf("process %d, want %d", pid, os.Getpid())
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// Who has connected when the listener is closed is served.
func TestCloseServesTheBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := Socket{Path: path, Mode: 0o600}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	const n = 20
	for range n {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	served := make(chan int)
	go func() {
		n := 0
		l.Serve(func(conn *net.UnixConn) { conn.Close(); n++ }, func(err error) { t.Error(err) })
		served <- n
	}()
	time.Sleep(time.Millisecond)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := <-served; got != n {
		t.Errorf("%d connections were served, want %d", got, n)
	}
}
