package unixsocket

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Listener is a socket that is listened on.
type Listener struct {
	listener *net.UnixListener
	path     string
	place    os.FileInfo // of the socket
}

// acceptPause is how long to wait when no connection can be accepted, as when
// file descriptors are exhausted.
const acceptPause = 100 * time.Millisecond

// Serve gives every connection to handle, one after the other, until Close.
// failing is told when connections cannot be accepted, once until one can.
func (l *Listener) Serve(handle func(*net.UnixConn), failing func(error)) {
	failed := false
	for {
		conn, err := l.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !failed {
				failing(err)
			}
			failed = true
			time.Sleep(acceptPause)
			continue
		}
		failed = false
		handle(conn)
	}
}

// Close stops listening and removes the socket, unless somebody else has taken
// its place over.
func (l *Listener) Close() error {
	err := l.listener.Close()
	if there, e := os.Lstat(l.path); e == nil && os.SameFile(l.place, there) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

// Credentials are the process id and user of the other end, as they were when
// it connected (SO_PEERCRED in unix(7)).
func Credentials(c *net.UnixConn) (pid int, uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		return 0, 0, e
	}
	if err != nil {
		return 0, 0, err
	}
	return int(cred.Pid), cred.Uid, nil
}
