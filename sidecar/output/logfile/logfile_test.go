package logfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
