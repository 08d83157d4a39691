package unixsocket

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket.
type Listener struct {
	listener *net.UnixListener
	path     string
	place    os.FileInfo // of the socket
	serving  sync.Mutex  // held by Serve
	lock     *lock       // of its path
}

// acceptPause is how long to wait after accepting has failed, for example because
// file descriptors are exhausted.
const acceptPause = 100 * time.Millisecond

// backlog is how long connections in the backlog are still accepted when listening
// ends.
const backlog = 20 * time.Millisecond

// Serve passes every connection to handle, one after the other, until Close.
// failing is called when connections cannot be accepted, once until one can.
func (l *Listener) Serve(handle func(*net.UnixConn), failing func(error)) {
	l.serving.Lock()
	defer l.serving.Unlock()
	failed := false
	for {
		conn, err := l.listener.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
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

// Close stops listening and removes the socket, unless another process has replaced
// it. Connections made before are still served.
func (l *Listener) Close() error {
	var err error
	if there, e := os.Lstat(l.path); e == nil && os.SameFile(l.place, there) {
		err = os.Remove(l.path)
	}
	err = errors.Join(err, l.listener.SetDeadline(time.Now().Add(backlog)))
	l.serving.Lock()
	defer l.serving.Unlock()
	return errors.Join(err, l.listener.Close(), l.lock.release())
}

// Credentials are the process id and user of the peer when it connected
// (SO_PEERCRED in unix(7)).
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
