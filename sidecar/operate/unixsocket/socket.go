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
// answers on any more, and of nothing else. The socket is bound beside its
// place and moved there when its mode and owner are right, so that nobody can
// connect before. A missing directory is created if its parent exists.
func (s Socket) Listen() (*Listener, error) {
	uid, gid, err := s.owners()
	if err != nil {
		return nil, err
	}
	if dir := filepath.Dir(s.Path); !isDir(dir) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("%w (create the socket's directory, or name another socket)", err)
		}
	}
	if err := s.Free(); err != nil {
		return nil, err
	}
	beside := fmt.Sprintf("%s.%d", s.Path, os.Getpid())
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: beside, Net: "unix"})
	if err != nil {
		return nil, listenError(s.Path, err)
	}
	l.SetUnlinkOnClose(false)
	place, err := s.moveIn(beside, uid, gid)
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(beside))
	}
	return &Listener{listener: l, path: s.Path, place: place}, nil
}

// moveIn readies the socket beside its place and moves it there.
func (s Socket) moveIn(beside string, uid, gid int) (os.FileInfo, error) {
	if err := os.Chmod(beside, s.Mode); err != nil {
		return nil, err
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(beside, uid, gid); err != nil {
			return nil, err
		}
	}
	place, err := os.Lstat(beside)
	if err != nil {
		return nil, err
	}
	return place, os.Rename(beside, s.Path)
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
		return fmt.Errorf("%s is there and is no socket: move it away or name another socket", s.Path)
	}
	conn, err := net.DialTimeout("unix", s.Path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("somebody answers on %s: is another serveflow running?", s.Path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot tell whether somebody listens on %s: %w", s.Path, err)
	}
	return nil
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
				return 0, 0, fmt.Errorf("the socket's group: %w (create it with groupadd, or name no group)", err)
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

// maxPath is the longest path a socket can have (sun_path in unix(7)), less
// room for the process id of the name beside it.
const maxPath = 107 - len(".4194304")

func listenError(path string, err error) error {
	if len(path) > maxPath {
		return fmt.Errorf("%w: the path has %d bytes and a socket's may have %d", err, len(path), maxPath)
	}
	return err
}
