package faults

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// TestSameEveryTime: the labels of a capture's flows depend on nothing
// but the capture: not on the run, the number of shards, or how many
// connections its flows come over.
func TestSameEveryTime(t *testing.T) {
	t.Parallel()
	var plays []played
	for _, file := range globbed(t, captureDir+"/*.pcap*") {
		plays = append(plays, fromFile(file))
	}
	// Packets whose times step back, as those of two network cards do: flows
	// that go quiet, and that go on when it is nearly, or just, too late.
	plays = append(plays,
		madeUp(traffic{flows: 3000, packets: 2, every: 20_000, gap: 4_000_000, jitter: 70_000}),
		madeUp(traffic{flows: 3000, packets: 3, every: 20_000, gap: quiet.Microseconds(), jitter: 70_000}))
	same(t, toy, plays, []way{{1, 1}, {1, 1}, {4, 1}, {4, 2}, {1, 2}})
}

// TestSameAtTheEnd: flows that are still open when the capture is over are ended
// by its last packet, whichever shard that is on.
func TestSameAtTheEnd(t *testing.T) {
	t.Parallel()
	open := madeUp(traffic{flows: 1000, packets: 2, every: 20_000, gap: 4_000_000, jitter: 70_000})
	open.unended = true
	same(t, toy, []played{open}, []way{{1, 1}, {4, 1}, {7, 1}})
}

// TestSameEveryTimeOfDevices does the same with a bundle that is in use, on
// captures of devices.
func TestSameEveryTimeOfDevices(t *testing.T) {
	t.Parallel()
	files := globbed(t, dataDir(t)+"/iot-device/pcap/*.pcap.zst")
	var plays []played
	for i := 0; i < len(files); i += len(files)/12 + 1 {
		plays = append(plays, fromFile(files[i]))
	}
	same(t, "iot-device", plays, []way{{1, 1}, {1, 1}, {4, 1}, {4, 2}, {1, 2}})
}

// dataDir is the folder of labelled captures that are not in the repository.
func dataDir(t *testing.T) string {
	t.Helper()
	data := os.Getenv("SERVEFLOW_DATA")
	if data == "" {
		data = root + "/../shared/data"
	}
	if _, err := os.Stat(data); err != nil {
		t.Skipf("no captures: %v (set SERVEFLOW_DATA to the folder of labelled captures)", err)
	}
	return data
}

// quiet is how long an undecided flow may be quiet.
const quiet = 10 * time.Second

// way is how captures are played.
type way struct{ shards, connections int }

// played is a capture by its sensor's name.
type played struct {
	sensor  string
	open    func(*testing.T) (from replay.Packets, done func() error)
	unended bool // the tap does not tell when flows end
}

func madeUp(c traffic) played {
	return played{sensor: fmt.Sprintf("made up %d", c.packets), open: func(*testing.T) (replay.Packets, func() error) {
		again := c
		return &again, func() error { return nil }
	}}
}

func fromFile(path string) played {
	return played{sensor: filepath.Base(path), open: func(t *testing.T) (replay.Packets, func() error) {
		t.Helper()
		source, err := replay.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return source, source.Close
	}}
}

func globbed(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < 10 {
		t.Fatalf("only %d captures match %s (%v)", len(files), pattern, err)
	}
	return files
}

// same plays captures in several ways and compares what the label log has.
func same(t *testing.T, name string, plays []played, ways []way) {
	t.Helper()
	b, err := bundle.Open(name, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var first []string
	for i, way := range ways {
		lines := labelled(t, b, plays, way)
		if i == 0 {
			first = lines
			if len(first) < len(plays) {
				t.Fatalf("only %d flows", len(first))
			}
			continue
		}
		if len(lines) != len(first) {
			t.Errorf("%+v: %d decisions, before %d", way, len(lines), len(first))
		}
		differ := 0
		for k := range min(len(lines), len(first)) {
			if lines[k] != first[k] {
				if differ++; differ <= 3 {
					t.Errorf("%+v:\n got %s\nwant %s", way, lines[k], first[k])
				}
			}
		}
	}
}

// labelled plays captures and returns the sorted lines of the label log.
func labelled(t *testing.T, b *bundle.Bundle, plays []played, w way) []string {
	t.Helper()
	p := newPlace(t, "")
	c := config.Default()
	c.Listen.Socket, c.Labels.Path, c.Flow.Shards = p.socket, p.labels, w.shards
	c.Flow.IdleTimeout = quiet
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: b, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range plays {
		from, done := one.open(t)
		p.play(one, replay.NewFlows(from, replay.Options{IgnoreChecksums: true}), w.connections)
		done()
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.labels)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(lines)
	return lines
}

// play sends flows over some connections, each flow over one of them, as the
// threads of an IDS would.
func (p *place) play(one played, flows *replay.Flows, connections int) {
	p.t.Helper()
	taps := make([]*tap, connections)
	var labels sync.WaitGroup
	for i := range taps {
		c := p.hello(wire.Hello{Sensor: one.sensor, PID: os.Getpid(), Capture: true, Reply: true})
		defer c.Close()
		taps[i] = c
		labels.Go(func() { // so that the sidecar reads on
			for m := (wire.Message{}); m.Kind != wire.KindSynced; {
				if err := c.in.Next(&m); err != nil {
					p.t.Errorf("%s: %v", one.sensor, err)
					return
				}
			}
		})
	}
	out := make([]bytes.Buffer, connections)
	var ev replay.Event
	for flows.Next(&ev) == nil { // a capture that is cut is played up to there
		to := int(ev.Flow) % connections
		e := wire.NewEncoder(&out[to])
		id := wire.UintID(ev.Flow)
		var err error
		switch {
		case ev.Kind != replay.EndEvent:
			err = e.Packet(&wire.Message{
				Flow: id, Time: ev.Time, Dir: uint8(ev.Dir), OrigPkts: ev.OrigPkts, RespPkts: ev.RespPkts,
				WireLen: uint32(ev.WireLen), Link: uint32(ev.Link), Raw: ev.Frame[:min(len(ev.Frame), 192)],
			})
		case !one.unended:
			err = e.End(id, ev.Time)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	for i, c := range taps {
		if _, err := c.UnixConn.Write(out[i].Bytes()); err != nil {
			p.t.Fatalf("%s: %v", one.sensor, err)
		}
		c.do(c.Sync(1, true))
	}
	labels.Wait()
}
