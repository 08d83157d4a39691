package logfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// numbered is n lines, numbered from from.
func numbered(from, n int) (lines []byte) {
	for i := range n {
		lines = fmt.Appendf(lines, "{\"flow\":%d,\"more\":%q}\n", from+i, strings.Repeat("x", 200))
	}
	return lines
}

func (f *File) write(lines []byte) { f.Add(lines, countLines(lines)) }

// flows reads the flow numbers of a log, and fails on a line that is not whole.
func flows(t *testing.T, paths ...string) []int {
	t.Helper()
	var all []int
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var r struct{ Flow int }
			if err := json.Unmarshal(line, &r); err != nil || line[len(line)-1] != '\n' {
				t.Fatalf("%s: %v: %q", path, err, line)
			}
			all = append(all, r.Flow)
		}
	}
	return all
}

// inOrder fails unless got is from, from+1, … from+n-1.
func inOrder(t *testing.T, got []int, from, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d records, want %d: %v", len(got), n, got)
	}
	for i, f := range got {
		if f != from+i {
			t.Fatalf("record %d is flow %d, want %d", i, f, from+i)
		}
	}
}

func mustOpen(t *testing.T, path string, o Options, open_ opener) *File {
	t.Helper()
	if open_ == nil {
		open_ = openerOf(path, o)
	}
	l, err := open(path, o, open_)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serveflow", "a.log") // the directory is created
	l := mustOpen(t, path, Options{}, nil)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, l.Close())
	must(t, l.Close())
	l.write(numbered(0, 3))
	if s := l.Stats(); s != (Stats{Dropped: 3}) {
		t.Errorf("written after Close: %+v", s)
	}

	_, err = Open(filepath.Join(dir, "a", "b", "a.log"), Options{Key: "a.path"})
	if err == nil || !strings.Contains(err.Error(), "a.path") {
		t.Errorf("no hint: %v", err)
	}
	_, err = Open(dir, Options{})
	if err == nil {
		t.Error("opened a directory")
	}
}

func TestWrittenWithin100ms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{}, nil)
	for round := range 3 {
		l.write(numbered(round, 1))
		start := time.Now()
		for l.Stats().Written != int64(round+1) {
			time.Sleep(time.Millisecond)
			if late := time.Since(start); late > 5*time.Second {
				t.Fatal("not written after", late)
			}
		}
		// Machines under load are late without being at fault.
		if late := time.Since(start); late > 100*time.Millisecond {
			t.Logf("round %d took %v", round, late)
		}
	}
	if gather > 50*time.Millisecond {
		t.Errorf("records gather for %v; half of 100 ms is for the write", gather)
	}
	inOrder(t, flows(t, path), 0, 3)
}

// A process that died inside a line leaves it to the next one, which cuts it
// off and goes on.
func TestTornLastLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{}, nil)
	l.write(numbered(0, 10))
	must(t, l.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for _, cut := range []int{1, 2, len(whole) - last - 1, len(whole) - last} {
		must(t, os.WriteFile(path, whole[:len(whole)-cut], 0o640))
		l := mustOpen(t, path, Options{}, nil)
		torn := len(whole) - cut - last
		if l.Repaired() != int64(torn) {
			t.Errorf("cut %d: %d bytes repaired, want %d", cut, l.Repaired(), torn)
		}
		l.write(numbered(9, 5))
		must(t, l.Close())
		inOrder(t, flows(t, path), 0, 14)
	}
	// A first line that was never finished.
	must(t, os.WriteFile(path, []byte(`{"ts":17`), 0o640))
	l = mustOpen(t, path, Options{}, nil)
	l.write(numbered(0, 1))
	must(t, l.Close())
	if inOrder(t, flows(t, path), 0, 1); l.Repaired() != 8 {
		t.Errorf("%d bytes repaired", l.Repaired())
	}
}

// What is not a label log is not cut.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	for _, content := range []string{"root:x:0:0", "{" + strings.Repeat("x", defaultMaxLine)} {
		must(t, os.WriteFile(path, []byte(content), 0o640))
		if _, err := Open(path, Options{Name: "test log"}); err == nil || !strings.Contains(err.Error(), "is not a test log") {
			t.Error(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Error("the file was changed")
		}
	}
}

// A file whose lines are another's is neither written to nor cut, torn or not.
func TestAnothersFile(t *testing.T) {
	isLine := func(text []byte) bool { return bytes.HasPrefix(text, []byte(`{"flow":`)) }
	path := filepath.Join(t.TempDir(), "a.log")
	for _, content := range []string{
		"{\"ts\":1}\n{\"ts\":2}\n", "{\"ts\":1}\n{\"ts\":2", "{\n  \"settings\": true\n}", "{\"flow\":1}\nDo not forget: mi",
	} {
		must(t, os.WriteFile(path, []byte(content), 0o640))
		if _, err := Open(path, Options{Name: "test log", IsLine: isLine}); err == nil || !strings.Contains(err.Error(), "is not a test log") {
			t.Errorf("%q: %v", content, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%q became %q", content, b)
		}
	}
	// What was passed on does not make it another's.
	must(t, os.WriteFile(path, []byte("passed on\n{\"flow\":1}\n{\"flow\":2"), 0o640))
	l := mustOpen(t, path, Options{IsLine: isLine}, nil)
	if l.Repaired() != 9 {
		t.Errorf("%d bytes repaired", l.Repaired())
	}
}

// Of a symbolic link, what it leads to is rotated, and the link stays.
func TestRotationOfLink(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	line := int64(len(numbered(100, 1)))
	link, file := filepath.Join(dir, "link.log"), filepath.Join(home, "a.log")
	must(t, os.Symlink("step", link))
	must(t, os.Symlink(file, filepath.Join(dir, "step")))
	l := mustOpen(t, link, Options{MaxBytes: line, Keep: 2}, nil)
	for i := range 3 {
		l.write(numbered(100+i, 1))
		must(t, l.Flush())
	}
	must(t, l.Close())
	inOrder(t, flows(t, file+".2", file+".1", file), 100, 3)
	if to, err := os.Readlink(link); err != nil || to != "step" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("beside the link: %v", entries)
	}
}

// A file that a process has open by another way, as by its standard output, is only
// written to.
func TestForeignIsNotRotated(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	must(t, err)
	defer out.Close()
	_, err = out.WriteString("{whatever was printed")
	must(t, err)
	link := filepath.Join(t.TempDir(), "stdout")
	must(t, os.Symlink(fmt.Sprintf("/proc/self/fd/%d", out.Fd()), link))
	for _, name := range []string{link, fmt.Sprintf("/dev/fd/%d", out.Fd())} {
		l := mustOpen(t, name, Options{MaxBytes: line, Keep: 2}, nil)
		l.write(numbered(100, 3))
		must(t, l.Flush())
		must(t, l.Reopen())
		must(t, l.Close())
		if s := l.Stats(); s != (Stats{Written: 3}) || l.Repaired() != 0 {
			t.Errorf("%s: %+v, %d bytes repaired", name, s, l.Repaired())
		}
	}
	b, err := os.ReadFile(path)
	must(t, err)
	if !bytes.HasPrefix(b, []byte("{whatever was printed{")) || countLines(b) != 6 {
		t.Errorf("%q", b)
	}
	if to, err := os.Readlink(link); err != nil || !strings.HasPrefix(to, "/proc/") {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

// A file that somebody has put in the place of ours is not rotated in its stead.
func TestRotationFindsAnothersFile(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{MaxBytes: line, Keep: 2}, nil)
	l.write(numbered(100, 1))
	must(t, l.Flush())
	must(t, os.Rename(path, path+".moved"))
	must(t, os.WriteFile(path, nil, 0o640))
	l.write(numbered(101, 1))
	must(t, l.Flush())
	if _, err := os.Stat(path + ".1"); err == nil {
		t.Error("a file that was never open is rotated")
	}
	inOrder(t, flows(t, path+".moved", path), 100, 2)
}

// A loop of links is an error and no hang.
func TestLinkLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "loop")
	must(t, os.Symlink("loop", path))
	if _, err := Open(path, Options{}); !errors.Is(err, syscall.ELOOP) {
		t.Error(err)
	}
}

func TestRotation(t *testing.T) {
	line := int64(len(numbered(100, 1)))
	for _, keep := range []int{0, 1, 3} {
		path := filepath.Join(t.TempDir(), "a.log")
		l := mustOpen(t, path, Options{MaxBytes: 4 * line, Keep: keep}, nil)
		for i := range 6 { // 18 lines, 4 a file
			l.write(numbered(100+3*i, 3))
			must(t, l.Flush())
		}
		must(t, l.Close())
		var paths []string
		for i := keep; i > 0; i-- {
			paths = append(paths, fmt.Sprintf("%s.%d", path, i))
		}
		n := 4*keep + 2
		inOrder(t, flows(t, append(paths, path)...), 118-n, n)
		if _, err := os.Stat(fmt.Sprintf("%s.%d", path, keep+1)); err == nil {
			t.Errorf("keep %d: one more is kept", keep)
		}
		if s := l.Stats(); s != (Stats{Written: 18, Rotations: 4}) {
			t.Errorf("keep %d: %+v", keep, s)
		}
	}
	// A line longer than the limit has a file for itself.
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{MaxBytes: 10, Keep: 9}, nil)
	l.write(numbered(0, 3))
	must(t, l.Close())
	inOrder(t, flows(t, path+".2", path+".1", path), 0, 3)
}

// Many writers, small files, a reader of all of them: nothing is lost, torn or
// doubled.
func TestConcurrentWriters(t *testing.T) {
	const writers, batches, batch = 8, 50, 20
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{MaxBytes: 100_000, Keep: 100}, nil)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for b := range batches {
				l.write(numbered((w*batches+b)*batch, batch))
				if b%10 == 0 {
					l.Flush()
				}
				if w == 0 && b%20 == 0 {
					l.Reopen()
				}
			}
		})
	}
	wg.Wait()
	must(t, l.Close())
	paths, err := filepath.Glob(path + "*")
	must(t, err)
	seen := map[int]bool{}
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || info.Size() > 100_000 {
			t.Errorf("%s: %v, %d bytes", p, err, info.Size())
		}
		for _, f := range flows(t, p) {
			if seen[f] {
				t.Fatalf("flow %d twice", f)
			}
			seen[f] = true
		}
	}
	if len(seen) != writers*batches*batch {
		t.Errorf("%d records, want %d", len(seen), writers*batches*batch)
	}
	if len(paths) < 3 {
		t.Errorf("%d files: not rotated", len(paths))
	}
}

// logrotate moves the file away and sends SIGHUP.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{}, nil)
	l.write(numbered(0, 2))
	must(t, l.Flush())
	must(t, os.Rename(path, path+".old"))
	l.write(numbered(2, 2))
	must(t, l.Reopen())
	l.write(numbered(4, 2))
	must(t, l.Reopen()) // the same file again
	must(t, l.Close())
	inOrder(t, flows(t, path+".old", path), 0, 6)
	if got := len(flows(t, path)); got != 2 {
		t.Errorf("%d records in the new file, want 2", got)
	}

	// A path that cannot be opened leaves the old file in use.
	l = mustOpen(t, path, Options{}, nil)
	must(t, os.Rename(path, path+".2"))
	must(t, os.Mkdir(path, 0o750))
	if err := l.Reopen(); err == nil {
		t.Error("opened a directory")
	}
	l.write(numbered(6, 1))
	must(t, l.Close())
	inOrder(t, flows(t, path+".old", path+".2"), 0, 7)
}

// logrotate's copytruncate cuts the file under us.
func TestCopyTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	l := mustOpen(t, path, Options{MaxBytes: 1 << 20}, nil)
	l.write(numbered(0, 5))
	must(t, l.Flush())
	must(t, os.Truncate(path, 0))
	l.write(numbered(5, 5))
	must(t, l.Close())
	inOrder(t, flows(t, path), 5, 5)
}

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

// A pipe has no size and is neither repaired nor rotated.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	l := mustOpen(t, path, Options{MaxBytes: 1, Keep: 1}, nil)
	l.write(numbered(0, 3))
	must(t, l.Flush())
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer r.Close()
	b := make([]byte, 4096)
	n, err := r.Read(b)
	must(t, err)
	if lines := bytes.Count(b[:n], []byte("\n")); lines != 3 {
		t.Errorf("%d lines", lines)
	}
}

func TestNoAllocations(t *testing.T) {
	l := mustOpen(t, filepath.Join(t.TempDir(), "a.log"), Options{}, nil)
	lines := numbered(0, 10)
	for range 2 { // let both buffers grow
		for range 100 {
			l.Add(lines, 10)
		}
		must(t, l.Flush())
	}
	if n := testing.AllocsPerRun(50, func() { l.Add(lines, 10) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLocked: a file has one writer, whoever reopens or rotates it.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.jsonl")
	refused := func() {
		t.Helper()
		second, err := Open(path, Options{Key: "labels.path"})
		if err == nil {
			second.Close()
			t.Fatal("two have it open")
		}
		if !strings.Contains(err.Error(), "another process writes to it") || !strings.Contains(err.Error(), "labels.path") {
			t.Errorf("error %q", err)
		}
	}
	f := mustOpen(t, path, Options{MaxBytes: 200, Keep: 3}, nil)
	refused()
	must(t, f.Reopen()) // the same file
	refused()
	f.write(numbered(0, 20)) // rotated
	must(t, f.Flush())
	refused()
	must(t, os.Rename(path, path+".old"))
	must(t, f.Reopen())
	refused()
	must(t, f.Close())
	again := mustOpen(t, path, Options{}, nil)
	must(t, again.Close())
}

// TestRemoved: a removed file is created again, and so is its
// directory. Nothing goes where nobody can read it.
func TestRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "labels.jsonl")
	f := mustOpen(t, path, Options{}, nil)
	f.write(numbered(0, 2))
	must(t, f.Flush())
	must(t, os.Remove(path))
	f.write(numbered(2, 2))
	must(t, f.Flush())
	inOrder(t, flows(t, path), 2, 2)
	must(t, os.RemoveAll(dir))
	f.write(numbered(4, 2))
	must(t, f.Flush())
	inOrder(t, flows(t, path), 4, 2)
	must(t, os.RemoveAll(dir))
	must(t, os.WriteFile(dir, nil, 0o600)) // a directory that cannot be made
	f.write(numbered(6, 2))
	if err := f.Flush(); err == nil {
		t.Error("lines went nowhere without an error")
	}
	must(t, os.Remove(dir))
	must(t, f.Close())
	inOrder(t, flows(t, path), 6, 2)
}
