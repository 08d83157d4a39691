package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Damage costs what is damaged, which is counted to the item.
func TestDamage(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, path string){
		"flipped": func(t *testing.T, path string) { overwrite(t, path, 40_000, []byte("\x00\xff")) },
		"length":  func(t *testing.T, path string) { overwrite(t, path, 4, []byte("\xff\xff\xff\xff")) },
		"cut": func(t *testing.T, path string) {
			if err := os.Truncate(path, 40_000); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"no cursor": func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(filepath.Dir(path), cursorFile)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "flipped" {
				t.Skip("-short: one harm of them")
			}
			o := options(t)
			o.OnError = func(error) {}
			q := mustOpen(t, o)
			fill(t, q, 50_000)
			settled(t, q)
			all := q.Stats()
			q.lock.Close()
			files, _ := filepath.Glob(filepath.Join(o.Dir, "*.spool"))
			if len(files) < 3 {
				t.Fatalf("%d segments", len(files))
			}
			harm(t, files[0])

			q = mustOpen(t, o)
			want := all.Waiting
			got := receive(q, int(want), true)
			lost := q.Stats().Dropped[DropDamaged]
			if uint64(len(got))+lost != want || len(got) < 20_000 {
				t.Errorf("%d came, %d lost, want %d together", len(got), lost, want)
			}
			// A chunk of 256 KiB with 1,000 bytes an item is what a turned bit costs.
			if most := map[string]uint64{"no cursor": 0, "flipped": 300}; lost > most[name] && (name == "no cursor" || name == "flipped") {
				t.Errorf("%d lost", lost)
			}
		})
	}
}

// Damage in the last chunks is counted, too, and the numbers of their items are not used
// again.
func TestDamageAtTheEnd(t *testing.T) {
	o := options(t)
	o.OnError = func(error) {}
	q := mustOpen(t, o)
	for i := 1; i <= 3; i++ {
		add(q, i, i, 100)
		settled(t, q)
	}
	q.lock.Close()
	files, _ := filepath.Glob(filepath.Join(o.Dir, "*.spool"))
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for chunk := int64(2); chunk <= 3; chunk++ {
		overwrite(t, files[0], chunk*info.Size()/3-1, []byte{0xff})
	}
	q = mustOpen(t, o)
	add(q, 4, 4, 100)
	if got := receive(q, 2, true); !slices.Equal(got, []int{1, 4}) || q.Stats().Dropped[DropDamaged] != 2 {
		t.Errorf("%v came, %+v", got, q.Stats())
	}
}

// What somebody has put in the place of the queue's files is neither followed nor waited
// for, and files of others are left alone.
func TestPlantedFiles(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a FIFO": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link": func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "victim"), path) },
	} {
		for _, file := range []string{lockFile, cursorFile, fmt.Sprintf("%016x%s", 1, suffix)} {
			o := options(t)
			said := make(chan error, 100)
			o.OnError = func(err error) { said <- err }
			victim := filepath.Join(o.Dir, "victim")
			if err := errors.Join(os.MkdirAll(o.Dir, 0o750), os.WriteFile(victim, []byte("precious"), 0o600), plant(filepath.Join(o.Dir, file))); err != nil {
				t.Fatal(err)
			}
			opened := make(chan error, 1)
			go func() {
				q, err := Open(o)
				if err == nil {
					add(q, 1, 1, 100)
					err = <-said
					q.Abandon()
				}
				opened <- err
			}()
			select {
			case err := <-opened:
				if err == nil || !strings.Contains(err.Error(), file) {
					t.Errorf("%s for %s: %v", name, file, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s for %s: it waits", name, file)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
				t.Errorf("%s for %s: the file that it leads to has %q", name, file, text)
			}
		}
	}
	o := options(t)
	if err := errors.Join(os.MkdirAll(o.Dir, 0o750), os.WriteFile(filepath.Join(o.Dir, strings.Repeat("f", 16)+suffix), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	q := mustOpen(t, o)
	add(q, 1, 100, 100)
	settled(t, q)
	if err := q.Abandon(); err != nil {
		t.Fatal(err)
	}
	wantRow(t, receive(mustOpen(t, o), 100, true), 1, 100)
}

func overwrite(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// Without the cursor, a damaged first chunk costs itself alone.
func TestDamageWithoutCursor(t *testing.T) {
	o := options(t)
	o.OnError = func(error) {}
	q := mustOpen(t, o)
	for i := 1; i <= 3; i++ {
		add(q, i, i, 100)
		settled(t, q)
	}
	q.lock.Close()
	files, _ := filepath.Glob(filepath.Join(o.Dir, "*.spool"))
	overwrite(t, files[0], headerSize+10, []byte{0xff})
	if err := os.Remove(filepath.Join(o.Dir, cursorFile)); err != nil {
		t.Fatal(err)
	}
	q = mustOpen(t, o)
	if got := receive(q, 2, true); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("%v came, %+v", got, q.Stats())
	}
}

// Files that cannot be opened for want of descriptors are read when there are some.
func TestNoDescriptors(t *testing.T) {
	o := options(t)
	var mu sync.Mutex
	var reported []string
	o.OnError = func(err error) { mu.Lock(); reported = append(reported, err.Error()); mu.Unlock() }
	q := mustOpen(t, o)
	fill(t, q, 20_000)
	all := int(q.Stats().Waiting)

	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	first := receive(q, all, true) // up to a file that is not open
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	if err != nil {
		t.Fatal(err)
	}
	got := append(first, receive(q, all-len(first), true)...)
	if lost := q.Stats().Dropped[DropDamaged]; len(got) != all || lost != 0 {
		t.Errorf("%d of %d came, %d lost", len(got), all, lost)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(reported) != 1 || !strings.Contains(reported[0], "too many open files") {
		t.Errorf("%q", reported)
	}
}
