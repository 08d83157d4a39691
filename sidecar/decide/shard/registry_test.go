package shard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/tap/wire"
)

func TestSensorsAreNumbered(t *testing.T) {
	var g registry
	now := time.Now()
	g.retention = time.Minute
	connect := func(name, run string) uint32 { return g.connect(&Tap{Sensor: name, Capture: run != "", Run: run}, now) }
	leave := func(name, run string) {
		tap := &Tap{Sensor: name, Capture: run != "", Run: run}
		g.endRun(tap)
		g.disconnect(tap, now)
	}
	live := connect("a", "")
	leave("a", "")
	if connect("a", "") != live {
		t.Error("a live sensor is another one when it comes back")
	}
	if connect("b", "") == live {
		t.Error("two sensors are one")
	}
	first := connect("c", "1")
	if connect("c", "2") == first {
		t.Error("two runs over captures are one")
	}
	if connect("c", "1") != first {
		t.Error("two threads of a run are two")
	}
	leave("c", "1")
	if connect("c", "1") != first {
		t.Error("a run ended with the first of its threads")
	}
	leave("c", "1")
	leave("c", "1")
	if connect("c", "1") == first {
		t.Error("a run that is over goes on when its name comes again")
	}
	for i := range 100 {
		connect("d", fmt.Sprint(i))
	}
	if recent := g.numbers("d"); len(recent) != maxRuns || recent[maxRuns-1] != connect("d", "99") {
		t.Errorf("the last runs are not remembered: %v", recent)
	}
}

// What has no connection any more is forgotten, soon if it is much.
func TestSensorsAreForgotten(t *testing.T) {
	g := registry{retention: time.Minute}
	now := time.Now()
	stay := &Tap{Sensor: "stay"}
	number := g.connect(stay, now)
	for i := range 5 * maxIdle {
		for _, tap := range []*Tap{{Sensor: fmt.Sprint("live ", i)}, {Sensor: fmt.Sprint(i % 100), Capture: true, Run: fmt.Sprint(i)}} {
			g.connect(tap, now)
			g.endRun(tap)
			g.disconnect(tap, now)
		}
	}
	if n := len(g.sensors); n > maxIdle+1 {
		t.Errorf("%d sensors are remembered", n)
	}
	if n := len(g.used); n > maxIdle+1+100*maxRuns {
		t.Errorf("%d numbers are in use", n)
	}
	late := now.Add(time.Minute)
	g.next = number // as after 2^32 of them
	if again := g.connect(&Tap{Sensor: "late"}, late); again == number {
		t.Error("a number was given twice")
	}
	if len(g.sensors) != 2 || len(g.used) != 2 || g.idle.Len() != 0 {
		t.Errorf("%d sensors, %d numbers, %d idle after a minute", len(g.sensors), len(g.used), g.idle.Len())
	}
	if !slices.Equal(g.numbers("stay"), []uint32{number}) {
		t.Error("a sensor with a connection was forgotten")
	}
}

// A tap hears of its first packet that cannot be read, and not of every one.
func TestUnparsedOnce(t *testing.T) {
	in := make(chan *flow.Batch, 1)
	heard := 0
	s := NewRouter([]Input{{in, in}}, nil, time.Minute).Open(Tap{Unparsed: func(error) { heard++ }})
	s.Add(wire.UintID(1), 1, []byte{1, 2, 3}).OrigPkts = 1
	s.Add(wire.UintID(2), 1, []byte{1, 2, 3}).OrigPkts = 1
	s.Flush()
	r := newRig(t, testBundle(t, false, false), 10, true)
	r.shard.handleBatch(<-in)
	if heard != 1 {
		t.Errorf("two packets could not be read: heard %d times", heard)
	}
}
