package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked reports that another process has the lock.
var errLocked = errors.New("another serveflow uses this socket: stop it, or configure another socket")

// lock is the file next to a socket that only one process can lock.
type lock struct{ *os.File }

// takeLock locks the file at path, following no link.
func takeLock(path string) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, fmt.Errorf("the socket's lock file: %w", err)
		}
		l := &lock{f}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("%s is locked: %w", path, errLocked), f.Close())
		}
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOLCK) { // a file system without locks
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
		}
		if l.inPlace() {
			return l, nil
		}
		f.Close() // the previous owner has removed it meanwhile
	}
}

// inPlace reports whether the file still has its name.
func (l *lock) inPlace() bool {
	own, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(l.Name())
	return err == nil && os.SameFile(own, there)
}

// release removes the file, which no other process can have locked.
func (l *lock) release() error {
	var err error
	if l.inPlace() {
		if err = os.Remove(l.Name()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, l.Close())
}
