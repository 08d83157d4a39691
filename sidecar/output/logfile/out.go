package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// out is the open target and what is being written to it.
type out struct {
	log  *File
	open opener

	mu   sync.Mutex
	to   target // nil: a socket that is not connected
	disk disk   // to, if it is a file on a disk: it has a size, and can be truncated and rotated
	size int64  // of the file
	// buf[:off] is written. A write that fails half-way leaves off inside a line,
	// which the next write completes.
	buf     []byte
	off     int
	failing bool
	dropped int64 // Stats.Dropped when failing began

	streams atomic.Bool  // the target is not a file on a disk
	last    atomic.Int64 // deadline of streams, see stream
}

// begin opens the path for the first time.
func (o *out) begin() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.replace()
	if err == nil || !strings.HasPrefix(o.log.path, Socket) {
		return err
	}
	o.streams.Store(true)
	o.fail(err) // a process may listen on it later
	return nil
}

// reopen opens the path, and closes the file that was open.
func (o *out) reopen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.replace(); err != nil {
		o.log.errors.Add(1)
		return err
	}
	return nil
}

// replace opens the path and, if that succeeds, closes what was open before.
func (o *out) replace() error {
	to, err := o.open(o.log.path)
	if err != nil {
		return err
	}
	if s, ok := to.(*stream); ok {
		s.last = &o.last
	}
	file, _ := to.(disk)
	size := int64(0)
	if file != nil {
		info, err := file.Stat()
		if err == nil && o.has(info) {
			return to.Close() // it is already open and locked
		}
		if err == nil {
			err = lock(file, o.log.o.Key)
		}
		if err == nil {
			size, err = o.repair(file, info.Size())
		}
		if err != nil {
			to.Close()
			return err
		}
	}
	o.drop()
	o.to, o.disk, o.size = to, file, size
	o.streams.Store(file == nil)
	return nil
}

// has reports whether a file is the open one.
func (o *out) has(file os.FileInfo) bool {
	if o.disk == nil {
		return false
	}
	info, err := o.disk.Stat()
	return err == nil && os.SameFile(info, file)
}

// drop closes the target. An unfinished line is sent again on the next.
func (o *out) drop() {
	if o.to != nil {
		o.restartLine()
		o.to.Close()
		o.to, o.disk = nil, nil
	}
}

// torn returns the length of the unfinished line at the end of the file.
func (o *out) torn() int { return o.off - (bytes.LastIndexByte(o.buf[:o.off], '\n') + 1) }

// restartLine removes an unfinished line from the file, so that it can be written
// whole to another.
func (o *out) restartLine() {
	n := o.torn()
	if n == 0 {
		return
	}
	o.off -= n
	if o.disk == nil {
		return
	}
	// Another process may have truncated the file already. If truncating fails,
	// the line is removed when the file is opened next, or stays the last line of
	// a file that was moved away.
	if info, err := o.disk.Stat(); err == nil && info.Size() == o.size {
		_ = o.disk.Truncate(o.size - int64(n))
	}
}

// flush writes the rest of buf, then the queue.
func (o *out) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.write()
	if err == nil {
		o.buf, o.off = o.log.take(o.buf), 0
		err = o.write()
	}
	return err
}

func (o *out) write() error {
	if o.off == len(o.buf) {
		return nil
	}
	if o.to == nil {
		if err := o.replace(); err != nil {
			return o.fail(err)
		}
	}
	if err := o.measure(); err != nil {
		return o.fail(err)
	}
	mayRotate, failed := o.disk != nil && o.log.o.MaxBytes > 0, false
	for o.off < len(o.buf) {
		b := o.buf[o.off:]
		if mayRotate {
			if b = o.fit(b); len(b) == 0 {
				if err := o.rotate(); err != nil {
					o.fail(fmt.Errorf("rotate: %w", err))
					mayRotate, failed = false, true // a file that is too large is better than none
				}
				continue
			}
		}
		n, err := o.to.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		o.log.written.Add(countLines(o.buf[o.off : o.off+n]))
		o.off += n
		o.size += int64(n)
		if err != nil {
			if o.disk == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				o.drop() // the connection is lost
			}
			return o.fail(err)
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

// fail counts an error and reports the first of a series.
func (o *out) fail(err error) error {
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

// measure creates the file again if it was removed, and reads its size, which
// another process may have set to 0 (logrotate's copytruncate): then an unfinished
// line is written again.
func (o *out) measure() error {
	if o.disk == nil {
		return nil
	}
	info, err := o.disk.Stat()
	if err != nil {
		return err
	}
	if removed(info) { // what is written to it is lost
		return o.replace()
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
func (o *out) fit(b []byte) []byte {
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

// rotate renames the open file to path.1, path.1 to path.2 and so on, and opens path
// again.
func (o *out) rotate() error {
	path, err := Resolve(o.log.path)
	if err != nil {
		return err
	}
	// After a rotation that failed half-way there is nothing to rename, and a file
	// of another process is not renamed.
	if there, err := os.Lstat(path); err == nil && o.has(there) {
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
func (o *out) lost() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return countLines(o.buf[o.off:])
}

// setDeadline gives a slow reader a last deadline.
func (o *out) setDeadline() { o.last.Store(time.Now().Add(shutdownTime).UnixNano()) }

func (o *out) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		return nil
	}
	o.restartLine()
	return o.to.Close()
}
