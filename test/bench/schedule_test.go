package bench

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"serveflow/models/dataset"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

func testSchedule(t testing.TB, rate float64) *schedule {
	t.Helper()
	paths, err := filepath.Glob("../../test/captures/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var list []dataset.Capture
	for _, path := range paths {
		list = append(list, dataset.Capture{File: path, Path: path, Label: filepath.Base(path)})
	}
	s, err := newSchedule(list, replay.Options{IgnoreChecksums: true}, wire.Welcome{Packets: 10, RawBytes: 192}, rate)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPlay plays some periods and reads what a sidecar would: every flow of
// every instance once and whole, its packets in order, the clock never back.
func TestPlay(t *testing.T) {
	for _, rate := range []float64{0, 500} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) { testPlay(t, testSchedule(t, rate), rate) })
	}
}

func testPlay(t *testing.T, s *schedule, rate float64) {
	const instances = 3
	var all []byte
	for period := int64(0); period < instances+s.laps; period++ {
		for i := range s.events {
			if e := &s.events[i]; period-e.lap >= 0 && period-e.lap < instances {
				all = s.append(all, e, period-e.lap)
			}
		}
	}
	type seen struct{ packets, ends, last int64 }
	flows, overlapping, clock := map[uint64]*seen{}, 0, int64(0)
	in, m := wire.NewDecoder(bytes.NewReader(all)), wire.Message{}
	for {
		if err := in.Next(&m); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		id := m.Flow.Uint()
		f := flows[id]
		if f == nil {
			f = &seen{}
			flows[id] = f
			if len(flows) > 1 && m.OrigPkts+m.RespPkts != 1 && m.Kind == wire.KindPacket {
				overlapping++
			}
		}
		if m.Time < clock || f.ends > 0 {
			t.Fatalf("flow %d: %v at %d, after %d", id, m.Kind, m.Time, clock)
		}
		clock = m.Time
		instance, number, ok := s.flowOf(id)
		if !ok || instance >= instances || s.id(instance, number) != id {
			t.Fatalf("flow %d is of instance %d", id, instance)
		}
		at := m.Time - beginning - instance*s.period
		switch m.Kind {
		case wire.KindEnd:
			f.ends++
			if want := s.flows[number].end; at != want {
				t.Fatalf("flow %d ends at %d, want %d", id, at, want)
			}
		case wire.KindPacket:
			index := int64(m.OrigPkts + m.RespPkts)
			if index != f.last+1 {
				t.Fatalf("flow %d: packet %d after %d", id, index, f.last)
			}
			if want := s.flows[number].packets[index-1]; at != want {
				t.Fatalf("flow %d: packet %d at %d, want %d", id, index, at, want)
			}
			f.last, f.packets = index, f.packets+1
		}
	}
	if len(flows) != instances*len(s.flows) {
		t.Errorf("%d flows, want %d", len(flows), instances*len(s.flows))
	}
	for id, f := range flows {
		if f.packets == 0 {
			t.Errorf("flow %d has no packet", id)
		}
	}
	if rate == 0 {
		if s.laps < overlap {
			t.Errorf("the longest capture is under way %d times at once, want %d", s.laps, overlap)
		}
		return
	}
	if got := 1e6 * float64(len(s.flows)) / float64(s.period); got < rate || got > 1.01*rate {
		t.Errorf("%v new flows a second of packet time, want %v", got, rate)
	}
	for i, f := range s.flows {
		if f.packets[0] >= s.period {
			t.Errorf("flow %d begins at %d, after its period of %d", i, f.packets[0], s.period)
		}
	}
}

// TestPlayMixes sees that flows overlap: of the first packets in a period,
// others' later packets stand between them.
func TestPlayMixes(t *testing.T) {
	s := testSchedule(t, 0)
	begun, changes := map[uint32]bool{}, 0
	for i := range s.events {
		if e := &s.events[i]; !e.end && begun[e.flow] != (i > 0 && begun[s.events[i-1].flow]) {
			changes++
		} else {
			begun[e.flow] = true
		}
	}
	if changes < len(s.flows)/4 {
		t.Errorf("first and later packets change places %d times with %d flows", changes, len(s.flows))
	}
}
