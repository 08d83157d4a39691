package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// target is where lines are written.
type target interface {
	io.Writer
	Close() error
}

// disk is a target that can be a file on a disk, which can be truncated.
type disk interface {
	target
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
}

type opener func(path string) (target, error)

// Socket is the prefix of a path that is a socket's.
const Socket = "unix:"

func openerOf(path string, o Options) opener {
	if strings.HasPrefix(path, Socket) {
		return dial
	}
	return func(path string) (target, error) { return openFile(path, o.Key) }
}

// dialTime bounds how long connecting may take: the backlog can be full.
const dialTime = time.Second

func dial(path string) (target, error) {
	conn, err := net.DialTimeout("unix", strings.TrimPrefix(path, Socket), dialTime)
	if err != nil {
		return nil, err
	}
	return &stream{out: conn}, nil
}

// openFile opens a log for appending.
func openFile(path, key string) (target, error) {
	path, foreign, err := resolve(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Dir(path)
		if e := os.Mkdir(dir, 0o750); e != nil {
			return nil, fmt.Errorf("%w (creating the directory failed too: %v; create it, or set %s to another path)", err, e, key)
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w (the directory must be writable for the user that serveflow runs as)", err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if foreign || !info.Mode().IsRegular() {
		return &stream{out: f}, nil
	}
	return f, nil
}

// Resolve returns the path of the file that a log at path writes to: the target of
// symbolic links, which need not exist yet. Rotated files are next to it.
func Resolve(path string) (string, error) {
	path, _, err := resolve(path)
	return path, err
}

// resolve also reports whether the path leads through /dev or /proc, as /dev/stdout
// does: then the file belongs to whoever opened it.
func resolve(path string) (real string, foreign bool, err error) {
	for range maxLinks {
		dir := filepath.Dir(path)
		if there, err := filepath.EvalSymlinks(dir); err == nil { // else it may be created later
			dir = there
		}
		path = filepath.Join(dir, filepath.Base(path))
		if dir == "/dev" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/") {
			return path, true, nil
		}
		to, err := os.Readlink(path)
		switch {
		case err != nil: // not a link, or missing
			return path, false, nil
		case filepath.IsAbs(to):
			path = to
		default:
			path = filepath.Join(dir, to)
		}
	}
	return "", false, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
}

// maxLinks is how many symbolic links are followed, as in path_resolution(7).
const maxLinks = 40

// lock locks a file for this process while it is open: two writers of one file
// would truncate and rotate each other's lines.
func lock(file disk, key string) error {
	f, ok := file.(*os.File)
	if !ok {
		return nil
	}
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s: another process writes to it (stop it, or set %s to another path)", f.Name(), key)
	}
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOLCK) {
		return nil // a file system without locks
	}
	return err
}

// removed reports whether an open file has no name any more.
func removed(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// repair removes a last line without a newline from a file, and returns the
// remaining size. A file that does not look like this log is not changed.
func (o *out) repair(f disk, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	tail := make([]byte, min(size, int64(o.log.o.MaxLine)))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	first := make([]byte, min(size, firstBytes))
	if _, err := f.ReadAt(first, 0); err != nil {
		return 0, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	torn := tail[whole:]
	switch isLine := o.log.o.IsLine; {
	case whole == 0 && size > int64(len(tail)), // a line that is too long
		!isLine(first) && !isLine(lastLine(tail[:whole])),
		len(torn) > 0 && !isLine(torn):
		return 0, fmt.Errorf("%s is not a %s (move the file away, or set %s to another path)", o.log.path, o.log.o.Name, o.log.o.Key)
	case len(torn) == 0:
		return size, nil
	}
	size -= int64(len(torn))
	if err := f.Truncate(size); err != nil {
		return 0, fmt.Errorf("removing an unfinished last line: %w", err)
	}
	o.log.repaired.Add(int64(len(torn)))
	return size, nil
}

// firstBytes is how much of a file's first line is checked.
const firstBytes = 256

// lastLine is the last line of b, which ends with it; an empty line if b is empty.
func lastLine(b []byte) []byte {
	if len(b) == 0 {
		return []byte{'\n'}
	}
	return b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]
}
