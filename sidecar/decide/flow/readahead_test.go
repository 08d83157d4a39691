package flow

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"serveflow/sidecar/tap/wire"
)

// TestReadAhead changes no record, for flows of every state, one with a removed
// neighbour, and flows that are not there; the events then lead to their flows.
func TestReadAhead(t *testing.T) {
	table, clock := NewTable(2*cachedFlows, 10), live()
	refs := make([]Ref, cachedFlows)
	for i := range refs {
		refs[i] = table.Open(key(i), clock)
		for index := range i % 12 {
			add(table, refs[i], uint64(index+1), int64(index))
		}
		table.SetState(refs[i], State(i%3))
	}
	table.Remove(refs[7])
	var events []Event
	for i := range 60 {
		events = append(events, Event{ID: wire.UintID(uint64(cachedFlows + i))}) // not there
		events = append(events, Event{ID: wire.UintID(uint64(i)), OrigPkts: uint64(i % 20), RespPkts: 1 << (i % 64)})
		events = append(events, Event{ID: wire.UintID(uint64(i)), OrigPkts: uint64(i / 12 % 12)}, Event{ID: wire.UintID(uint64(i)), Kind: End})
	}
	before := slices.Clone(table.slab[0])
	for i := 0; i < len(events); i += Ahead {
		if n := testing.AllocsPerRun(1, func() { table.ReadAhead(1, events[i:]) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if !slices.Equal(before, table.slab[0]) {
		t.Error("records have changed")
	}
	if table.read == 0 {
		t.Error("nothing was read")
	}
	for i := range events {
		for sensor := range uint32(3) {
			table.ReadAhead(sensor, events[i:])
			if got, want := table.FindOf(sensor, &events[i]), table.Find(Key{Sensor: sensor, ID: events[i].ID}); got != want {
				t.Errorf("event %d of sensor %d leads to flow %d, want %d", i, sensor, got, want)
			}
		}
	}
}

// TestHugePages: the system was asked for them where a table's memory lies.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this system has no huge pages: ", err)
	}
	s := huge(make([]Record, chunkRecords))
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at, inside, flags := uint64(uintptr(unsafe.Pointer(&s[0]))), false, ""
	for line := range strings.Lines(string(maps)) {
		if from, to, ok := addresses(line); ok {
			inside = from <= at && at < to
		} else if inside && strings.HasPrefix(line, "VmFlags:") {
			flags = line
		}
	}
	if !strings.Contains(flags, " hg") {
		t.Errorf("flags of the memory: %q", flags)
	}
}

// addresses are those that the first line of a mapping names.
func addresses(line string) (from, to uint64, ok bool) {
	_, err := fmt.Sscanf(line, "%x-%x ", &from, &to)
	return from, to, err == nil
}
