package flow

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

func live() *SourceClock    { return NewSourceClock(&Source{Sensor: "s"}, 0) }
func capture() *SourceClock { return NewSourceClock(&Source{Sensor: "s", Capture: true}, 0) }
func key(n int) Key         { return Key{Sensor: 1, ID: wire.UintID(uint64(n))} }
func stamp(ts int64) func(*packet.Packet) {
	return func(p *packet.Packet) { p.Time = ts }
}

// add puts packet index of a flow at packet time ts and says whether it was new.
func add(t *Table, r Ref, index uint64, ts int64) bool {
	p := t.Slot(r, index)
	if p == nil {
		return false
	}
	stamp(ts)(p)
	return true
}

func times(t *Table, r Ref) (ts []int64) {
	for _, p := range t.Packets(r) {
		ts = append(ts, p.Time)
	}
	return ts
}

func TestPacketsUpToTheFirstGap(t *testing.T) {
	tests := []struct {
		name    string
		want    int
		indexes []uint64
		held    int  // packets before the first gap
		new     bool // whether the last index was new
	}{
		{"none", 10, nil, 0, false},
		{"in order", 10, []uint64{1, 2, 3}, 3, true},
		{"duplicate", 10, []uint64{1, 2, 2}, 2, false},
		{"gap", 10, []uint64{1, 3, 4}, 1, true},
		{"gap filled late", 10, []uint64{1, 3, 4, 2}, 4, true},
		{"first one late", 10, []uint64{3, 2, 1}, 3, true},
		{"index zero is no packet", 10, []uint64{1, 0}, 1, false},
		{"past what is wanted", 3, []uint64{1, 2, 3, 4}, 3, false},
		{"far past what is wanted", 3, []uint64{1, 1 << 60}, 1, false},
		{"all", 64, seq(64), 64, true},
		{"one wanted", 1, []uint64{1, 2}, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table := NewTable(10, test.want)
			r := table.Open(key(1), live())
			isNew := false
			for _, i := range test.indexes {
				isNew = add(table, r, i, int64(i))
			}
			if isNew != test.new {
				t.Errorf("last index new: %v, want %v", isNew, test.new)
			}
			got := times(table, r)
			if len(got) != test.held {
				t.Fatalf("%d packets held, want %d", len(got), test.held)
			}
			for i, ts := range got {
				if ts != int64(i+1) {
					t.Errorf("packet %d is the one of time %d", i+1, ts)
				}
			}
		})
	}
}

// TestOpenFlowsAreBounded: by what their packets may take; decided ones do not count,
// and none of them goes where an undecided one must.
func TestOpenFlowsAreBounded(t *testing.T) {
	table, clock := NewTable(100, 10), live()
	table.SetPacketBytes(int64(4 * PacketBytes(10)))
	for i := range 3 {
		table.SetState(table.Open(key(i), clock), Decided)
	}
	var refs []Ref
	for i := range 4 {
		if table.Full() {
			t.Fatalf("full of %d flows", table.Len())
		}
		refs = append(refs, table.Open(key(10+i), clock))
	}
	if !table.Full() || table.EvictionCandidate() != refs[0] {
		t.Errorf("full: %v, to be evicted: %d, want %d", table.Full(), table.EvictionCandidate(), refs[0])
	}
	table.SetState(refs[1], Decided)
	if table.Full() {
		t.Error("a decided flow leaves no room")
	}
	table.Open(key(20), clock)
	table.Remove(refs[0])
	table.Remove(refs[1])
	if table.Full() {
		t.Error("a removed flow leaves no room")
	}
	table.SetMaxPackets(64) // which take more
	if !table.Full() {
		t.Error("larger flows leave no less room")
	}
	table.SetPacketBytes(1)
	for r := table.EvictionCandidate(); table.Full(); r = table.EvictionCandidate() {
		table.Remove(r)
	}
	if open := table.Len() - table.decided; open != 0 || table.decided != 3 {
		t.Errorf("%d undecided and %d decided flows are left", open, table.decided)
	}
}

// TestSizeOfAFlow: what flows take is about what is said, and no more.
func TestSizeOfAFlow(t *testing.T) {
	const flows = 60_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	table, clock := NewTable(flows, 12), live()
	for i := range flows {
		table.Open(key(i), clock)
	}
	records := float64(heap()-before) / flows
	for _, index := range []uint64{1, 2, 12} { // blocks of every size
		for r := Ref(1); r <= flows; r++ {
			table.Slot(r, index)
		}
	}
	for r := Ref(1); r <= flows; r++ {
		table.SetState(r, Decided) // gives its block back, which stays the table's
	}
	all := float64(heap()-before) / flows
	runtime.KeepAlive(table)
	if said := float64(RecordBytes); records > said || records < said*.6 {
		t.Errorf("a record takes %.0f bytes, not %.0f", records, said)
	}
	if said := float64(RecordBytes + PacketBytes(12)); all > said*1.02 || all < said*.85 {
		t.Errorf("a flow takes %.0f bytes, not %.0f", all, said)
	}
	t.Logf("a record takes %.0f bytes of %d, a flow of 12 packets %.0f of %d", records, RecordBytes, all, RecordBytes+PacketBytes(12))
}

func seq(n int) (s []uint64) {
	for i := range n {
		s = append(s, uint64(i+1))
	}
	return s
}

func TestQuietAndStaleInOrderOfLastTouch(t *testing.T) {
	table, l := NewTable(10, 3), capture()
	var refs []Ref
	for i := range 3 {
		l.AdvancePacket(int64(i * 10))
		refs = append(refs, table.Open(key(i), l))
	}
	l.AdvancePacket(30)
	table.Touch(refs[0], l)
	if r := l.Idle(table, 21); r != None {
		t.Errorf("flow %d is quiet after 21 µs, want none", r)
	}
	if r := l.Idle(table, 20); r != refs[1] {
		t.Errorf("flow %d is quiet, want %d: heard of at 10", r, refs[1])
	}
	table.SetState(refs[1], Scoring)
	if r := l.Idle(table, 0); r != refs[2] {
		t.Errorf("flow %d is quiet, want %d: the one before is pending", r, refs[2])
	}
	if l.Scoring() != 1 {
		t.Errorf("%d pending, want 1", l.Scoring())
	}
	table.SetState(refs[1], Decided)
	if l.Scoring() != 0 {
		t.Errorf("%d pending, want 0", l.Scoring())
	}
	if r := l.Stale(table, 1, 1); r != None {
		t.Errorf("flow %d is stale, want none: it was decided just now", r)
	}
	l.AdvancePacket(50)
	if r := l.Stale(table, 20, 1); r != refs[1] {
		t.Errorf("flow %d is stale, want %d", r, refs[1])
	}
	table.Remove(refs[1])
	if r := l.Stale(table, 0, 0); r != None {
		t.Errorf("flow %d is stale, want none", r)
	}
	if table.Find(key(1)) != None || table.Len() != 2 || l.Flows() != 2 {
		t.Errorf("a removed flow is still there")
	}
}

func TestCaptureClockNeverGoesBack(t *testing.T) {
	l := capture()
	l.AdvancePacket(100)
	l.AdvancePacket(50)
	l.AdvanceWall(maxStill)
	if l.Now() != 100 {
		t.Errorf("the capture's time is %d, want 100", l.Now())
	}
	w := live()
	w.AdvanceWall(100)
	w.AdvanceWall(50)
	w.AdvancePacket(1 << 40)
	if w.Now() != 100 {
		t.Errorf("the live time is %d, want 100", w.Now())
	}
}

func TestOrphanedCaptureLivesByTheWallClock(t *testing.T) {
	table, l := NewTable(10, 3), capture()
	l.AdvancePacket(1 << 50)
	r := table.Open(key(1), l)
	l.Detach(table, 1000)
	l.AdvanceWall(1999)
	if got := l.Idle(table, 1000); got != None {
		t.Error("quiet too early")
	}
	l.AdvanceWall(2000)
	if got := l.Idle(table, 1000); got != r {
		t.Error("not quiet in time")
	}
	if l.Unused() {
		t.Error("over, and a flow is left")
	}
	next := capture()
	table.Touch(r, next) // heard of again over another connection
	if !l.Unused() || next.Flows() != 1 || next.Idle(table, 0) != r {
		t.Error("the flow did not move to the lane that it was heard of on")
	}
}

func TestWaited(t *testing.T) {
	tests := []struct {
		name     string
		lane     *SourceClock
		rec      Record
		at, wall int64
		want     int64
	}{
		{"capture: packet time alone", capture(), Record{First: 100, Last: 300, LastSeen: 1}, 500, 9999, 400},
		{"capture: clock going back", capture(), Record{First: 100}, 50, 0, 0},
		{"live: packet time and the wall since", live(), Record{First: 100, Last: 300, LastSeen: 10}, 0, 17, 207},
		{"live: a wall clock that stands", live(), Record{First: 100, Last: 300, LastSeen: 10}, 0, 3, 200},
	}
	for _, test := range tests {
		if got := test.lane.Latency(&test.rec, test.at, test.wall); got != test.want {
			t.Errorf("%s: %d µs, want %d", test.name, got, test.want)
		}
	}
}

// TestScoringMovesWithTheFlow: a flow whose packets come from another source while a
// model is asked is counted there, and nobody waits for it at the first.
func TestScoringMovesWithTheFlow(t *testing.T) {
	table, first, second := NewTable(4, 3), live(), live()
	r := table.Open(key(1), first)
	table.SetState(r, Scoring)
	table.Touch(r, second)
	if first.Scoring() != 0 || second.Scoring() != 1 {
		t.Errorf("%d and %d flows wait, want 0 and 1", first.Scoring(), second.Scoring())
	}
	if table.SetState(r, Decided); second.Scoring() != 0 {
		t.Errorf("%d flows wait", second.Scoring())
	}
}

func TestSpareTakesWhatIsLeastWorth(t *testing.T) {
	table, l := NewTable(4, 3), live()
	grown, single, decided, pending := table.Open(key(1), l), table.Open(key(2), l), table.Open(key(3), l), table.Open(key(4), l)
	add(table, grown, 1, 0)
	add(table, grown, 2, 0)
	add(table, single, 1, 0)
	table.SetState(decided, Decided)
	table.SetState(pending, Scoring)
	if !table.Full() {
		t.Fatal("the table is not full")
	}
	for _, want := range []Ref{decided, single, grown, None} {
		r := table.EvictionCandidate()
		if r != want {
			t.Fatalf("flow %d is spared, want %d", r, want)
		}
		if r != None {
			table.Remove(r)
		}
	}
}

// TestForgot: what was removed of late is remembered, and nothing else is.
func TestForgot(t *testing.T) {
	const max = 1000
	table, lane := NewTable(max, 3), live()
	for n := range 10 * max {
		table.Remove(table.Open(key(n), lane))
		if !table.RecentlyRemoved(key(n)) {
			t.Fatalf("flow %d was removed just now", n)
		}
	}
	remembered := 0
	for n := 9 * max; n < 10*max; n++ {
		if table.RecentlyRemoved(key(n)) {
			remembered++
		}
	}
	if remembered < max/2 { // places are shared
		t.Errorf("%d of the last %d flows are remembered", remembered, max)
	}
	for n := range 10 * max {
		other := key(n)
		other.Sensor++
		if table.RecentlyRemoved(other) || table.RecentlyRemoved(key(n+10*max)) {
			t.Fatalf("flow %d of another sensor, or %d, was never there", n, n+10*max)
		}
	}
}

// TestAgainstAMap drives a table at random beside maps that say what it must
// hold.
func TestAgainstAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const max, want = 50, 7
	table := NewTable(max, want)
	lanes := []*SourceClock{capture(), capture(), live()}
	held := map[int]map[uint64]bool{}
	state := map[int]State{}
	for step := range 20000 {
		n := rng.IntN(80)
		l := lanes[rng.IntN(len(lanes))]
		l.AdvanceWall(int64(step))
		l.AdvancePacket(int64(step))
		r := table.Find(key(n))
		if (r != None) != (held[n] != nil) {
			t.Fatalf("step %d: flow %d is there: %v", step, n, r != None)
		}
		switch op := rng.IntN(10); {
		case r == None:
			if table.Full() {
				r = table.EvictionCandidate()
				id := int(table.At(r).Key.ID.Uint())
				delete(held, id)
				delete(state, id)
				table.Remove(r)
			}
			table.Open(key(n), l)
			held[n], state[n] = map[uint64]bool{}, NeedPackets
		case op < 6 && state[n] != Decided:
			i := uint64(rng.IntN(want + 2))
			isNew := i >= 1 && i <= want && !held[n][i]
			if add(table, r, i, int64(i)) != isNew {
				t.Fatalf("step %d: flow %d packet %d new: want %v", step, n, i, isNew)
			}
			if isNew {
				held[n][i] = true
			}
		case op < 8:
			table.Touch(r, l)
		case op == 8 && state[n] == NeedPackets:
			state[n] = Decided
			held[n] = map[uint64]bool{}
			table.SetState(r, Decided)
		default:
			delete(held, n)
			delete(state, n)
			table.Remove(r)
		}
		flows := 0
		for _, l := range lanes {
			flows += l.Flows()
		}
		if table.Len() != len(held) || flows != len(held) {
			t.Fatalf("step %d: %d flows, %d on lanes, want %d", step, table.Len(), flows, len(held))
		}
	}
	for n, packets := range held {
		want := 0
		for packets[uint64(want+1)] {
			want++
		}
		if got := len(table.Packets(table.Find(key(n)))); got != want {
			t.Errorf("flow %d: %d packets, want %d", n, got, want)
		}
	}
	for _, l := range lanes {
		for _, q := range l.queues {
			last := int64(-1)
			for r := q.head; r != None; r = table.At(r).link.next {
				if table.At(r).LastChange < last {
					t.Fatal("a lane's list is out of order")
				}
				last = table.At(r).LastChange
			}
		}
	}
}

func TestBatchKeepsFrames(t *testing.T) {
	b := NewBatch(&Source{}, time.Now())
	for i := range batchEvents {
		if b.Full() {
			t.Fatalf("full after %d events", i)
		}
		e := b.Add()
		b.AddBytes(e, []byte{byte(i), byte(i)})
	}
	if !b.Full() {
		t.Error("not full")
	}
	for i := range b.Events {
		if f := b.Bytes(&b.Events[i]); len(f) != 2 || f[0] != byte(i) {
			t.Fatalf("event %d has frame %v", i, f)
		}
	}
	b.Release()
	if b := NewBatch(&Source{}, time.Now()); len(b.Events) != 0 || b.Barrier != nil || b.SourceClosed {
		t.Error("a batch is not empty when it is taken again")
	}
}

func TestBarrierPassesOnce(t *testing.T) {
	passed := 0
	b := NewBarrier(3, false, func() { passed++ })
	for i := range 3 {
		if passed != 0 {
			t.Fatalf("passed after %d of 3", i)
		}
		b.Arrive()
	}
	if passed != 1 {
		t.Errorf("passed %d times", passed)
	}
}

// TestRecordsFillCacheLines: what is read together lies in one line.
func TestRecordsFillCacheLines(t *testing.T) {
	const line = 64
	var r Record
	if n := unsafe.Sizeof(r); n%line != 0 {
		t.Errorf("a record has %d bytes", n)
	}
	if at := unsafe.Offsetof(r.LastSeen); at != line {
		t.Errorf("the second line begins at %d", at)
	}
	if at := unsafe.Offsetof(r.First); at != 2*line {
		t.Errorf("the third line begins at %d", at)
	}
}

// BenchmarkFlow is a flow's life: opened, ten packets, decided, removed.
func BenchmarkFlow(b *testing.B) {
	table, l := NewTable(1<<16, 10), live()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := table.Open(key(i), l)
		for k := range uint64(10) {
			if p := table.Slot(r, k+1); p != nil {
				p.Time = int64(k)
			}
			table.Touch(r, l)
		}
		table.SetState(r, Decided)
		table.Remove(r)
	}
}
