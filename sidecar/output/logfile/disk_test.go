package logfile

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// sick is a file whose disk has trouble.
type sick struct {
	disk
	*trouble
}

type trouble struct {
	room      atomic.Int64  // bytes until writes fail
	slow      chan struct{} // if not nil, writes wait for it
	truncates bool          // cutting works
}

func (d *trouble) open(path string) (target, error) {
	f, err := openFile(path, "a.path")
	if err != nil {
		return nil, err
	}
	return sick{f.(disk), d}, nil
}

func (s sick) Write(p []byte) (int, error) {
	if s.slow != nil {
		<-s.slow
	}
	if n := s.room.Load(); n < int64(len(p)) {
		s.room.Store(0)
		n, err := s.disk.Write(p[:n])
		if err == nil {
			err = syscall.ENOSPC
		}
		return n, err
	}
	s.room.Add(-int64(len(p)))
	return s.disk.Write(p)
}

func (s sick) Truncate(size int64) error {
	if !s.truncates {
		return syscall.EIO
	}
	return s.disk.Truncate(size)
}

type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// A disk that fills up inside a line: the line is completed later, nothing is
// torn or doubled, and the trouble is reported once.
func TestDiskFull(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	for extra := range line + 1 {
		path := filepath.Join(t.TempDir(), "a.log")
		var seen reports
		d := &trouble{}
		d.room.Store(2*line + extra)
		l := mustOpen(t, path, Options{OnError: seen.add}, d.open)
		l.write(numbered(100, 5))
		for range 3 {
			if err := l.Flush(); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
		l.write(numbered(105, 2))
		d.room.Store(1 << 20)
		must(t, l.Flush())
		inOrder(t, flows(t, path), 100, 7)
		if len(seen.errs) != 2 || !errors.Is(seen.errs[0], syscall.ENOSPC) {
			t.Fatalf("reported %v", seen.errs)
		}
		var recovered *RecoveredError
		if !errors.As(seen.errs[1], &recovered) || recovered.Dropped != 0 {
			t.Fatalf("reported %v", seen.errs[1])
		}
		if s := l.Stats(); s.Written != 7 || s.Dropped != 0 || s.Errors < 3 {
			t.Fatalf("%+v", s)
		}
		l.Close()
	}
}

// The same without anybody calling Flush.
func TestRecoversByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	d := &trouble{}
	d.room.Store(10)
	l := mustOpen(t, path, Options{}, d.open)
	l.write(numbered(0, 3))
	for l.Stats().Errors == 0 {
		time.Sleep(time.Millisecond)
	}
	d.room.Store(1 << 20)
	for l.Stats().Written < 3 {
		time.Sleep(time.Millisecond)
	}
	inOrder(t, flows(t, path), 0, 3)
}

// The file is replaced while a line is unfinished: it begins again in the new
// file, and the old one is cut, if that works.
func TestDiskFullThenReopen(t *testing.T) {
	line := int64(len(numbered(0, 1)))
	for _, truncates := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "a.log")
		d := &trouble{truncates: truncates}
		d.room.Store(line + 7)
		l := mustOpen(t, path, Options{}, d.open)
		l.write(numbered(0, 3))
		if l.Flush() == nil {
			t.Fatal("the disk was not full")
		}
		must(t, os.Rename(path, path+".old"))
		d.room.Store(0)
		if err := l.Reopen(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		d.room.Store(1 << 20)
		must(t, l.Close())
		inOrder(t, flows(t, path), 1, 2)
		if truncates {
			inOrder(t, flows(t, path+".old"), 0, 1)
		}
	}
}

// Closing on a full disk leaves whole lines and counts the rest.
func TestDiskFullThenClose(t *testing.T) {
	line := int64(len(numbered(0, 1)))
	path := filepath.Join(t.TempDir(), "a.log")
	d := &trouble{truncates: true}
	d.room.Store(line + 7)
	l := mustOpen(t, path, Options{}, d.open)
	l.write(numbered(0, 3))
	l.Flush()
	l.write(numbered(3, 3))
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	inOrder(t, flows(t, path), 0, 1)
	if s := l.Stats(); s.Written != 1 || s.Dropped != 5 {
		t.Errorf("%+v", s)
	}
}

// A cut by copytruncate inside an unfinished line: it begins again.
func TestDiskFullThenCopyTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	d := &trouble{}
	d.room.Store(7)
	l := mustOpen(t, path, Options{}, d.open)
	l.write(numbered(0, 3))
	l.Flush()
	must(t, os.Truncate(path, 0))
	d.room.Store(1 << 20)
	must(t, l.Close())
	inOrder(t, flows(t, path), 0, 3)
}

// A disk that stands still: Write goes on, memory stays bounded, the rest is
// counted.
func TestSlowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	var seen reports
	d := &trouble{slow: make(chan struct{})}
	d.room.Store(1 << 40)
	l := mustOpen(t, path, Options{OnError: seen.add}, d.open)
	recs := numbered(0, 1000)
	const rounds = 200
	for range rounds {
		l.write(recs)
	}
	l.mu.Lock()
	if len(l.pending) > defaultBuffer {
		t.Errorf("%d bytes pending", len(l.pending))
	}
	l.mu.Unlock()
	if l.Stats().Dropped == 0 {
		t.Error("nothing was dropped")
	}
	close(d.slow)
	must(t, l.Close())
	s := l.Stats()
	if s.Written+s.Dropped != rounds*1000 {
		t.Errorf("%+v of %d", s, rounds*1000)
	}
	if n := len(flows(t, path)); int64(n) != s.Written {
		t.Errorf("%d records in the file, %d counted", n, s.Written)
	}
	if len(seen.errs) != 0 {
		t.Error(seen.errs)
	}
}

// Rotation that fails: the file grows on, and is rotated when that works.
func TestRotationFails(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	path := filepath.Join(t.TempDir(), "a.log")
	var seen reports
	l := mustOpen(t, path, Options{MaxBytes: line, Keep: 1, OnError: seen.add}, nil)
	must(t, os.MkdirAll(path+".1/in the way", 0o750))
	for i := range 3 {
		l.write(numbered(100+i, 1))
		must(t, l.Flush())
	}
	inOrder(t, flows(t, path), 100, 3)
	must(t, os.RemoveAll(path+".1"))
	l.write(numbered(103, 1))
	must(t, l.Flush())
	inOrder(t, flows(t, path+".1", path), 100, 4)
	if len(seen.errs) != 2 {
		t.Errorf("reported %v", seen.errs)
	}
}

// Opening the new file fails after the old one was renamed: records go on to
// the renamed one, and a new file is opened when that works.
func TestRotationOpenFails(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	path := filepath.Join(t.TempDir(), "a.log")
	broken := false
	l := mustOpen(t, path, Options{MaxBytes: line, Keep: 2}, func(path string) (target, error) {
		if broken {
			return nil, syscall.EMFILE
		}
		return openFile(path, "a.path")
	})
	l.write(numbered(100, 1))
	must(t, l.Flush())
	broken = true
	l.write(numbered(101, 1))
	must(t, l.Flush())
	l.write(numbered(102, 1))
	must(t, l.Flush())
	broken = false
	l.write(numbered(103, 1))
	must(t, l.Flush())
	if got := flows(t, path+".1"); len(got) != 3 {
		t.Errorf("in the renamed file: %v", got)
	}
	inOrder(t, flows(t, path+".1", path), 100, 4)
	if l.Stats().Rotations != 1 {
		t.Errorf("%+v", l.Stats())
	}
}
