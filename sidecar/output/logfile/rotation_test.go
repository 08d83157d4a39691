package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

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
