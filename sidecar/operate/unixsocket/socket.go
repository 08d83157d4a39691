// Package unixsocket makes the Unix sockets that the sidecar listens on, by one
// set of rules: nobody can connect before mode and owner are right, a socket
// that nobody answers on any more is replaced, and nothing else ever is. Who has
// connected when listening ends is still served.
//
//	l, err := unixsocket.Socket{Path: "/run/serveflow/eve.sock", Mode: 0o660}.Listen()
//	…
//	l.Serve(func(conn *net.UnixConn) { … }, func(err error) { … }) // until Close
package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Socket says where to listen and who may connect.
type Socket struct {
	Path  string
	Mode  fs.FileMode
	Owner string // user name or number; empty: left as it is
	Group string // group name or number; empty: left as it is
}

// Listen makes the socket. It takes over the place of a socket that nobody
// answers on any more, and of nothing else. The socket is bound in a private
// directory and moved to its place when its mode and owner are right, so that nobody
// can connect before. A file beside it, with .lock at the end of its name, is locked
// for as long as the listener is open: of several processes one gets the place. A missing directory is created if its parent exists.
func (s Socket) Listen() (*Listener, error) {
	if len(s.Path) > maxPath {
		return nil, fmt.Errorf("%s: the path has %d bytes; a socket path may have at most %d", s.Path, len(s.Path), maxPath)
	}
	uid, gid, err := s.owners()
	if err != nil {
		return nil, err
	}
	if dir := filepath.Dir(s.Path); !isDir(dir) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("%w (create the socket's directory, or configure another socket)", err)
		}
	}
	lock, err := takeLock(s.Path + ".lock")
	if err != nil {
		return nil, err
	}
	l, err := s.bind(uid, gid)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	l.lock = lock
	return l, nil
}

// bind makes the socket in a directory that only this process can enter, where nobody
// can connect to it and nobody can have put a link, and moves it to its place.
func (s Socket) bind(uid, gid int) (*Listener, error) {
	if err := s.Free(); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(s.Path), ".serveflow-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(private)
	dir, err := os.Open(private)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// By the descriptor, since the name of a socket has little room.
	name := fmt.Sprintf("/proc/self/fd/%d/s", dir.Fd())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	place, err := s.moveIn(filepath.Join(private, "s"), uid, gid)
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(filepath.Join(private, "s")))
	}
	return &Listener{listener: l, path: s.Path, place: place}, nil
}

// moveIn readies the socket and moves it to its place.
func (s Socket) moveIn(from string, uid, gid int) (os.FileInfo, error) {
	if err := os.Chmod(from, s.Mode); err != nil {
		return nil, err
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(from, uid, gid); err != nil {
			return nil, err
		}
	}
	place, err := os.Lstat(from)
	if err != nil {
		return nil, err
	}
	return place, os.Rename(from, s.Path)
}

// Free returns nil if the socket's place is empty or holds a socket that nobody
// answers on. Listen asks it, too.
func (s Socket) Free() error {
	info, err := os.Lstat(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket: move it away or configure another socket", s.Path)
	}
	conn, err := net.DialTimeout("unix", s.Path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("another process answers on %s: is another serveflow running?", s.Path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot determine whether another process listens on %s: %w", s.Path, err)
	}
	return nil
}

// CheckOwners is an error if this machine does not know the owner or the group.
func (s Socket) CheckOwners() error {
	_, _, err := s.owners()
	return err
}

func (s Socket) owners() (uid, gid int, err error) {
	uid, gid = -1, -1
	if s.Owner != "" {
		if uid, err = strconv.Atoi(s.Owner); err != nil {
			u, err := user.Lookup(s.Owner)
			if err != nil {
				return 0, 0, fmt.Errorf("the socket's owner: %w", err)
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if s.Group != "" {
		if gid, err = strconv.Atoi(s.Group); err != nil {
			g, err := user.LookupGroup(s.Group)
			if err != nil {
				return 0, 0, fmt.Errorf("the socket's group: %w (create it with groupadd, or configure no group)", err)
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// maxPath is the longest path that a client can connect to: sun_path in unix(7), less
// the zero byte at its end.
const maxPath = 107
