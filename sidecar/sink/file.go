package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// file is what a LabelLog asks of *os.File.
type file interface {
	io.Writer
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Close() error
}

type opener func(path string) (file, error)

// openFile opens a log to append to it.
func openFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Dir(path)
		if e := os.Mkdir(dir, 0o750); e != nil {
			return nil, fmt.Errorf("%w (cannot create the directory either: %v; create it, or set labels.path elsewhere)", err, e)
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w (does the directory belong to the user serveflow runs as?)", err)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// outFile is the file that is open, and what is being written to it.
type outFile struct {
	log  *LabelLog
	open opener

	mu      sync.Mutex
	f       file
	regular bool  // not a terminal or a pipe: has a size, can be cut and rotated
	size    int64 // of the file
	// out[:off] is in the file. A write that fails half-way leaves off inside
	// a line, which the next write completes.
	out     []byte
	off     int
	failing bool
	dropped int64 // Stats.Dropped when failing began
}

// reopen opens the path, and closes the file that was open.
func (o *outFile) reopen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.replace(); err != nil {
		o.log.errors.Add(1)
		return err
	}
	return nil
}

// replace opens the path and, if that succeeds, closes the file before.
func (o *outFile) replace() error {
	f, err := o.open(o.log.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	size, regular := info.Size(), info.Mode().IsRegular()
	if regular {
		if size, err = o.repair(f, size); err != nil {
			f.Close()
			return err
		}
	}
	if o.f != nil {
		o.restartLine()
		o.f.Close()
	}
	o.f, o.size, o.regular = f, size, regular
	return nil
}

// maxTorn is more than a line can be long.
const maxTorn = 64 << 10

// repair cuts a last line that does not end in a newline off a file, and
// returns the size that is left. A file that does not look like a label log is
// left alone.
func (o *outFile) repair(f file, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	tail := make([]byte, min(size, maxTorn))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	var first [1]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return 0, err
	}
	last := bytes.LastIndexByte(tail, '\n')
	if first[0] != '{' || last < 0 && size > maxTorn {
		return 0, fmt.Errorf("%s is not a label log (move the file away, or set labels.path elsewhere)", o.log.path)
	}
	torn := len(tail) - (last + 1)
	if torn == 0 {
		return size, nil
	}
	size -= int64(torn)
	if err := f.Truncate(size); err != nil {
		return 0, fmt.Errorf("cut off an unfinished last line: %w", err)
	}
	o.log.repaired.Add(int64(torn))
	return size, nil
}

// torn returns how many bytes of an unfinished line are at the file's end.
func (o *outFile) torn() int { return o.off - (bytes.LastIndexByte(o.out[:o.off], '\n') + 1) }

// restartLine takes an unfinished line back out of the file, so that it can
// begin again in another.
func (o *outFile) restartLine() {
	n := o.torn()
	if n == 0 {
		return
	}
	o.off -= n
	// Somebody else may have cut the file already. If cutting fails, the line
	// is cut off when the file is opened next, or stays the last of a file
	// that was moved away.
	if info, err := o.f.Stat(); err == nil && info.Size() == o.size {
		_ = o.f.Truncate(o.size - int64(n))
	}
}

// flush writes what is left of out, and then what is queued.
func (o *outFile) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.write()
	if err == nil {
		o.out, o.off = o.log.take(o.out), 0
		err = o.write()
	}
	return err
}

func (o *outFile) write() error {
	if o.off == len(o.out) {
		return nil
	}
	if err := o.measure(); err != nil {
		return o.fail(fmt.Errorf("write label log: %w", err))
	}
	mayRotate, failed := o.regular && o.log.o.MaxBytes > 0, false
	for o.off < len(o.out) {
		b := o.out[o.off:]
		if mayRotate {
			if b = o.fit(b); len(b) == 0 {
				if err := o.rotate(); err != nil {
					o.fail(fmt.Errorf("rotate label log: %w", err))
					mayRotate, failed = false, true // rather too large a file than none
				}
				continue
			}
		}
		n, err := o.f.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		o.log.written.Add(countLines(o.out[o.off : o.off+n]))
		o.off += n
		o.size += int64(n)
		if err != nil {
			return o.fail(fmt.Errorf("write label log: %w", err))
		}
	}
	if o.failing && !failed {
		o.failing = false
		if f := o.log.o.OnError; f != nil {
			f(&RecoveredError{o.log.path, o.log.dropped.Load() - o.dropped})
		}
	}
	return nil
}

// fail counts an error and reports the first of a row.
func (o *outFile) fail(err error) error {
	o.log.errors.Add(1)
	if !o.failing {
		o.failing = true
		o.dropped = o.log.dropped.Load()
		if f := o.log.o.OnError; f != nil {
			f(err)
		}
	}
	return err
}

// measure learns the file's size, which somebody else may have cut to 0
// (logrotate's copytruncate): then an unfinished line begins again.
func (o *outFile) measure() error {
	if !o.regular {
		return nil
	}
	info, err := o.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < o.size {
		o.off -= o.torn()
	}
	o.size = info.Size()
	return nil
}

// fit returns the part of b that goes into the file before it is rotated:
// whole lines up to MaxBytes, at least one into an empty file, and always the
// rest of an unfinished line.
func (o *outFile) fit(b []byte) []byte {
	room := o.log.o.MaxBytes - o.size
	if int64(len(b)) <= room {
		return b
	}
	n := bytes.LastIndexByte(b[:max(room, 0)], '\n') + 1
	if n == 0 && (o.size == 0 || o.torn() > 0) {
		n = bytes.IndexByte(b, '\n') + 1
	}
	return b[:n]
}

// rotate renames path to path.1, path.1 to path.2 and so on, and opens path
// anew.
func (o *outFile) rotate() error {
	path := o.log.path
	// After a rotation that failed half-way there is nothing to rename.
	if _, err := os.Lstat(path); err == nil {
		if err := shift(path, o.log.o.Keep); err != nil {
			return err
		}
		o.log.rotations.Add(1)
	}
	return o.replace()
}

func shift(path string, keep int) error {
	if keep <= 0 {
		return os.Remove(path)
	}
	name := func(i int) string {
		if i == 0 {
			return path
		}
		return path + "." + strconv.Itoa(i)
	}
	for i := keep - 1; i >= 0; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !(i > 0 && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// lost returns how many lines were not written.
func (o *outFile) lost() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return countLines(o.out[o.off:])
}

func (o *outFile) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.restartLine()
	return o.f.Close()
}
