package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// options are those of a queue that fails the test on an error that it tells of.
func options(t *testing.T) Options {
	return Options{Dir: filepath.Join(t.TempDir(), "queue"), MaxBytes: 1 << 30, Memory: 1 << 20,
		OnError: func(err error) { t.Errorf("reported: %v", err) }}
}

func mustOpen(t *testing.T, o Options) *Queue {
	t.Helper()
	q, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Abandon() })
	return q
}

// add adds the items first to last, each its number and size bytes.
func add(q *Queue, first, last, size int) {
	for i := first; i <= last; i++ {
		q.Add(AppendItem(nil, []byte(fmt.Sprintf("%d %s", i, strings.Repeat("x", size)))), 1)
	}
}

// fill adds the items 1 to n, of 1 kB, n in five hundreds, that nobody receives, and gives a
// slow disk the time that it needs: at half of its memory the queue writes no more.
func fill(t *testing.T, q *Queue, n int) {
	t.Helper()
	for i := 1; i <= n; i += 500 {
		add(q, i, i+499, 1000)
		settled(t, q)
		for deadline := time.Now().Add(10 * time.Second); q.Stats().InMemory > q.options.Memory/2; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes in memory", q.Stats().InMemory)
			}
		}
	}
}

// receive takes items until n came or none comes for a while, and does their chunks.
func receive(q *Queue, n int, done bool) (got []int) {
	for len(got) < n {
		select {
		case c, ok := <-q.Chunks():
			if !ok {
				return got
			}
			for item := range c.Items() {
				text, _, _ := strings.Cut(string(item), " ")
				i, err := strconv.Atoi(text)
				if err != nil {
					panic(err)
				}
				got = append(got, i)
			}
			if done {
				q.Done(c)
			}
		case <-time.After(2 * time.Second):
			return got
		}
	}
	return got
}

func wantRow(t *testing.T, got []int, first, last int) {
	t.Helper()
	if len(got) != last-first+1 {
		t.Fatalf("%d items, want %d to %d", len(got), first, last)
	}
	for i, n := range got {
		if n != first+i {
			t.Fatalf("item %d is %d, want %d", i, n, first+i)
		}
	}
}

// settled waits until the writer has nothing to do.
func settled(t *testing.T, q *Queue) {
	t.Helper()
	for range 500 {
		q.adding.Lock()
		empty := len(q.pending) == 0
		q.adding.Unlock()
		if empty && len(q.wake) == 0 {
			time.Sleep(3 * settle)
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the writer does not come to an end")
}

func TestInOrder(t *testing.T) {
	o := options(t)
	o.Memory = 8 << 20 // for all of them, should nobody receive for a while
	q := mustOpen(t, o)
	go add(q, 1, 3000, 300)
	wantRow(t, receive(q, 3000, true), 1, 3000)
	if s := q.Stats(); s.Waiting != 0 || s.Dropped != [Drops]uint64{} || !s.Oldest.IsZero() {
		t.Errorf("%+v", s)
	}
}

// A receiver that is away costs no more memory than it may: the rest is on disk, and
// comes back in order.
func TestSpills(t *testing.T) {
	o := options(t)
	q := mustOpen(t, o)
	const n = 40_000 // of 1 kB: over several segments
	fill(t, q, n)
	s := q.Stats()
	if s.Waiting != n || s.OnDisk < n*1000 || s.Oldest.IsZero() || s.Dropped != [Drops]uint64{} {
		t.Fatalf("%+v", s)
	}
	wantRow(t, receive(q, n, true), 1, n)
	if s := q.Stats(); s.Spilled < n-3000 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	if files, _ := filepath.Glob(filepath.Join(o.Dir, "*.spool")); len(files) > 1 {
		t.Errorf("done and still there: %q", files)
	}
}

// What was not done comes again after an end without a word, and what was done does not.
func TestAgainAfterKill(t *testing.T) {
	o := options(t)
	q := mustOpen(t, o)
	add(q, 1, 100, 10)
	settled(t, q)
	add(q, 101, 200, 10)
	settled(t, q)
	wantRow(t, receive(q, 100, true), 1, 100)
	wantRow(t, receive(q, 100, false), 101, 200)
	if again, err := Open(o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v, %v", again, err)
	}
	q.lock.Close() // as the end of a process does

	q = mustOpen(t, o)
	if s := q.Stats(); s.Recovered != 100 || s.Waiting != 100 {
		t.Errorf("%+v", s)
	}
	add(q, 201, 300, 10)
	wantRow(t, receive(q, 200, true), 101, 300)
	if s := q.Stats(); s.Dropped != [Drops]uint64{} {
		t.Errorf("%+v", s)
	}
}

func TestCloseGivesTheRest(t *testing.T) {
	q := mustOpen(t, options(t))
	add(q, 1, 500, 10)
	q.Close()
	wantRow(t, receive(q, 1000, true), 1, 500)
	if _, ok := <-q.Chunks(); ok {
		t.Error("more chunks after Close")
	}
	add(q, 501, 510, 10)
	if s := q.Stats(); s.Dropped[DropMemory] != 10 {
		t.Errorf("%+v", s)
	}
}

// Past the bounds everything is counted, and what was taken stays in order.
func TestBounds(t *testing.T) {
	o := options(t)
	o.MaxBytes, o.Memory = 1<<20, 256<<10
	reported := 0
	o.OnError = func(error) { reported++ }
	q := mustOpen(t, o)
	const n = 5000
	for i := 1; i <= n; i += 50 {
		add(q, i, i+49, 1000)
		settled(t, q)
	}
	s := q.Stats()
	if s.OnDisk > o.MaxBytes || s.InMemory > o.Memory+gather+headerSize {
		t.Errorf("%+v", s)
	}
	if s.Dropped[DropFull] == 0 || s.Waiting+s.Dropped[DropFull] != n || reported != 1 {
		t.Errorf("%+v, reported %d times", s, reported)
	}
	got := receive(q, int(s.Waiting), true)
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%d after %d", got[i], got[i-1])
		}
	}
	if uint64(len(got)) != s.Waiting {
		t.Errorf("%d came of %d", len(got), s.Waiting)
	}
	add(q, n+1, n+100, 100)
	wantRow(t, receive(q, 100, true), n+1, n+100)
}

// A disk that takes nothing costs nothing while memory suffices, and is used again as
// soon as it can be.
func TestDiskRefuses(t *testing.T) {
	o := options(t)
	o.Memory = 64 << 10
	var reported []string
	var mu sync.Mutex
	o.OnError = func(err error) { mu.Lock(); reported = append(reported, err.Error()); mu.Unlock() }
	q := mustOpen(t, o)
	away := o.Dir + "-away"
	if err := os.Rename(o.Dir, away); err != nil {
		t.Fatal(err)
	}
	add(q, 1, 20, 1000)
	settled(t, q)
	wantRow(t, receive(q, 20, true), 1, 20)
	for i := 21; i <= 220; i += 10 {
		add(q, i, i+9, 1000)
		settled(t, q)
	}
	s := q.Stats()
	if s.Dropped[DropDisk] == 0 || s.Waiting+s.Dropped[DropDisk] != 200 || s.OnDisk != 0 {
		t.Errorf("%+v", s)
	}
	if err := os.Rename(away, o.Dir); err != nil {
		t.Fatal(err)
	}
	kept := int(s.Waiting)
	wantRow(t, receive(q, kept, true), 21, 20+kept)
	for i := 1001; i <= 1100; i += 10 {
		add(q, i, i+9, 1000)
		settled(t, q)
	}
	if s := q.Stats(); s.OnDisk == 0 {
		t.Errorf("%+v", s)
	}
	wantRow(t, receive(q, 100, true), 1001, 1100)
	mu.Lock()
	defer mu.Unlock()
	if len(reported) != 2 || !strings.Contains(reported[1], "again") {
		t.Errorf("%q", reported)
	}
}

// Whoever adds, in however many threads, and whenever it is stopped: nothing is lost,
// given twice while it was done, or out of order.
func TestManyRuns(t *testing.T) {
	o := options(t)
	next, want := 1, 1
	for range 20 {
		q := mustOpen(t, o)
		n := rand.IntN(2000)
		add(q, next, next+n, 100)
		next += n + 1
		settled(t, q)
		for c := 0; c < rand.IntN(10); c++ {
			chunk := <-q.Chunks()
			for item := range chunk.Items() {
				if text, _, _ := strings.Cut(string(item), " "); text != strconv.Itoa(want) {
					t.Fatalf("%s, want %d", text, want)
				}
				want++
			}
			q.Done(chunk)
			if want == next {
				break
			}
		}
		if s := q.Stats(); s.Dropped != [Drops]uint64{} {
			t.Fatalf("%+v", s)
		}
		if err := q.Abandon(); err != nil {
			t.Fatal(err)
		}
	}
	q := mustOpen(t, o)
	wantRow(t, receive(q, next-want, true), want, next-1)
}

func FuzzChunk(f *testing.F) {
	c := Chunk{First: 7, Count: 2, Arrived: time.UnixMicro(1), buf: make([]byte, headerSize)}
	c.buf = AppendItem(AppendItem(c.buf, []byte("one")), nil)
	c.seal()
	f.Add(c.buf)
	f.Add(c.buf[:headerSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= headerSize { // past the sum, which nobody guesses
			sum := Chunk{buf: data}
			binary.LittleEndian.PutUint32(data[28:], sum.sum())
		}
		c := Chunk{buf: data}
		if c.parse() != nil {
			return
		}
		n := 0
		for range c.Items() {
			n++
		}
		if n != c.Count {
			t.Errorf("%d items, want %d", n, c.Count)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	q, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 30, Memory: 16 << 20, OnError: func(err error) { b.Log(err) }})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for c := range q.Chunks() {
			q.Done(c)
		}
	}()
	item := AppendItem(nil, make([]byte, 500))
	b.SetBytes(int64(len(item)))
	b.ReportAllocs()
	for b.Loop() {
		q.Add(item, 1)
	}
	b.ReportMetric(float64(q.Stats().Dropped[DropMemory])/float64(b.N), "drops/op")
	q.Abandon()
}

// A large chunk that is nearly empty takes what fits into it, even if it alone is more
// than memory may have; and none is kept that would take the place of many.
func TestLargeChunk(t *testing.T) {
	o := options(t)
	o.Memory = 512 << 10
	q := mustOpen(t, o)
	q.adding.Lock() // the writer waits
	large := &Chunk{buf: make([]byte, headerSize, o.Memory)}
	q.pending = append(q.pending, large)
	q.memory.Add(int64(cap(large.buf)))
	q.adding.Unlock()
	add(q, 1, 100, 10)
	wantRow(t, receive(q, 100, true), 1, 100)
	if s := q.Stats(); s.Dropped != [Drops]uint64{} {
		t.Errorf("dropped: %v", s.Dropped)
	}
	if c := q.chunks.Get().(*Chunk); cap(c.buf) > o.Memory/8 {
		t.Errorf("a chunk of %d bytes is kept", cap(c.buf))
	}
}

// A chunk that is done is not kept, though the list that it was in may be.
func TestDoneIsFreed(t *testing.T) {
	q := mustOpen(t, options(t))
	add(q, 1, 10, 100)
	c := <-q.Chunks()
	q.mu.Lock()
	list := q.taken[:1:1]
	q.mu.Unlock()
	q.Done(c)
	if list[0] != nil || c.buf != nil {
		t.Error("the chunk is still held")
	}
}
