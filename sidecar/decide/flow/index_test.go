package flow

import (
	"math/rand/v2"
	"testing"
)

// TestIndexAgainstAMap has keys whose hashes collide, at the end of the slots too.
func TestIndexAgainstAMap(t *testing.T) {
	for _, hashes := range []uint32{3, 100, 1 << 31} {
		table, x, rng := NewTable(1<<12, 1), newIndex(), rand.New(rand.NewPCG(1, uint64(hashes)))
		hash := func(n int) uint32 { return uint32(n) % hashes * (1 << 31 / hashes * 2) }
		var refs []Ref
		for n := range 2000 {
			refs = append(refs, table.Open(key(n), live()))
		}
		held := map[int]bool{}
		for step := range 40_000 {
			n := rng.IntN(min(len(refs), 50+step/10))
			k, want := key(n), None
			if held[n] {
				want = refs[n]
			}
			if r := x.find(table, k.Sensor, &k.ID, hash(n)); r != want {
				t.Fatalf("step %d: flow %d: %d, want %d", step, n, r, want)
			}
			if held[n] = !held[n]; held[n] {
				x.add(hash(n), refs[n])
			} else {
				delete(held, n)
				x.remove(hash(n), refs[n])
			}
			if x.flows != len(held) {
				t.Fatalf("step %d: %d flows, want %d", step, x.flows, len(held))
			}
		}
		for n := range refs {
			if k := key(n); (x.find(table, k.Sensor, &k.ID, hash(n)) != None) != held[n] {
				t.Errorf("flow %d: want %v", n, held[n])
			}
		}
	}
}

// TestHashesDifferByTable: a tap cannot know which ids collide.
func TestHashesDifferByTable(t *testing.T) {
	a, b, k := newIndex(), newIndex(), key(1)
	other := Key{Sensor: 2, ID: k.ID}
	if a.hash(k.Sensor, &k.ID) == b.hash(k.Sensor, &k.ID) || a.hash(k.Sensor, &k.ID) == a.hash(other.Sensor, &other.ID) {
		t.Error("hashes are the same")
	}
}

// TestEvictionAcrossClocks: the flow that changed first goes first, whosever it is.
func TestEvictionAcrossClocks(t *testing.T) {
	table, clocks := NewTable(10, 3), []*SourceClock{capture(), live(), capture()}
	clocks[0].AdvancePacket(1e9) // times of several clocks cannot be compared
	var refs []Ref
	for n := range 6 {
		refs = append(refs, table.Open(key(n), clocks[n%3]))
	}
	table.Touch(refs[0], clocks[0])
	for _, want := range []int{1, 2, 3, 4, 5, 0} {
		r := table.EvictionCandidate()
		if r != refs[want] {
			t.Fatalf("flow %d is evicted, want %d", r, refs[want])
		}
		table.Remove(r)
	}
	if r := table.EvictionCandidate(); r != None || len(table.clocks) != 0 {
		t.Errorf("flow %d, %d clocks", r, len(table.clocks))
	}
}

// BenchmarkBusy has a table of 100,000 flows: for each that is opened, one is removed
// and eight are found and touched.
func BenchmarkBusy(b *testing.B) {
	const flows = 100_000
	table, l, rng := NewTable(1<<18, 10), live(), rand.New(rand.NewPCG(1, 1))
	for i := range flows {
		table.Open(key(i), l)
	}
	b.ReportAllocs()
	for i := flows; b.Loop(); i++ {
		for range 8 {
			table.Touch(table.Find(key(i-1-rng.IntN(flows/2))), l)
		}
		table.Remove(table.Find(key(i - flows)))
		table.Open(key(i), l)
	}
}
