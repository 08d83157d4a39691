package faults

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// logged is how long after a tap has heard of a decision the label log has it.
const logged = 150 * time.Millisecond

// heard is a label that came to a tap.
type heard struct {
	wire.Label
	at time.Time
}

// life is the time that one process served the tap.
type life struct{ from, to time.Time }

// TestKill kills the sidecar again and again while a tap plays through it.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 4
	if *full {
		kills = 100
	}
	p := newPlace(t, "")
	// It goes on for 6 s a kill, unless all are done before.
	capture := &traffic{flows: 6000 * kills, packets: 8, every: 1000, gap: 40_000}
	played := &ending{Packets: capture}
	s := p.start()

	var mu sync.Mutex
	var labels []heard
	tap, err := replay.Dial(t.Context(), p.socket, replay.TapOptions{
		Sensor: "office", Speed: 1, Reconnect: true, Timeout: patience,
		OnLabel: func(l wire.Label) {
			mu.Lock()
			defer mu.Unlock()
			labels = append(labels, heard{l, time.Now()})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	var report replay.Report
	done := make(chan error, 1)
	go func() {
		var err error
		report, err = tap.Play(t.Context(), replay.NewFlows(played, replay.Options{IgnoreChecksums: true}))
		done <- err
	}()

	var lives []life
	for range kills {
		from := logTime(t, s.awaitLog("tap connected"))
		alive := 200*time.Millisecond + time.Duration(rand.Int64N(int64(600*time.Millisecond)))
		time.Sleep(time.Until(from.Add(alive))) // the random moment is what is tested
		lives = append(lives, life{from, time.Now()})
		s.kill()
		torn := tear(t, p.labels)
		s = p.start()
		checkRepair(t, s, torn)
	}
	lives = append(lives, life{logTime(t, s.awaitLog("tap connected")), time.Now().Add(time.Hour)})
	time.Sleep(time.Second)
	played.over.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.stop()

	if report.Reconnects < uint64(kills) { // a dying process may still take a connection
		t.Errorf("the tap reconnected %d times, want %d", report.Reconnects, kills)
	}
	flows := byFlow(t, readLabels(t, p.labels, true))
	checkHeard(t, labels, lives, flows)
	checkPartial(t, capture, flows, kills)
}

// ending is packets that are over when somebody says so.
type ending struct {
	replay.Packets
	over atomic.Bool
}

func (e *ending) Next(r *replay.Record) error {
	if e.over.Load() {
		return io.EOF
	}
	return e.Packets.Next(r)
}

// tear leaves half a line at the end of the label log, as when a machine goes
// down, and returns how many bytes follow the last whole line.
func tear(t *testing.T, path string) int {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, `{"ts":%d.%06d,"sensor":"off`, begin/1_000_000, 1); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(data) - (bytes.LastIndexByte(data, '\n') + 1)
}

// checkRepair: the sidecar says that it cut off a torn line, and counts it.
func checkRepair(t *testing.T, s *process, torn int) {
	t.Helper()
	s.awaitLog("label log: removed a torn last line", "bytes", strconv.Itoa(torn))
	if got := s.sample()["log_bytes_repaired_total"]; got != float64(torn) {
		t.Errorf("%v bytes repaired, want %d", got, torn)
	}
}

// checkHeard: the labels that the tap received in a process's life, but for its last
// moment, stands in the label log.
func checkHeard(t *testing.T, labels []heard, lives []life, flows map[string]decision) {
	t.Helper()
	missing, held := 0, 0
	for _, l := range labels {
		for i, life := range lives {
			if l.at.Before(life.from) || !l.at.Before(life.to.Add(-logged)) {
				continue
			}
			held++
			d, ok := flows["office "+l.Flow.String()]
			if !ok {
				missing++
				t.Logf("life %d: label of flow %v came %v before the kill and is not in the label log", i+1, l.Flow, life.to.Sub(l.at))
			} else if d.Label != l.Label.Label || d.Stage != l.Stage || d.Reason != l.Reason || d.Packets != l.Packets {
				t.Errorf("flow %v: the tap received %+v, the label log has %+v", l.Flow, l.Label, d)
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d labels are not in the label log", missing, held)
	}
	if held < len(labels)/3 {
		t.Errorf("only %d of %d labels were held to it", held, len(labels))
	}
}

// checkPartial: a flow was decided by a model if, and only if, its first packet
// was seen by the process that decided it.
func checkPartial(t *testing.T, c *traffic, flows map[string]decision, kills int) {
	t.Helper()
	partial := 0
	for key, d := range flows {
		id, err := strconv.ParseUint(string(d.Flow), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		late := d.micros() != c.first(id)
		if late != (d.Reason == "partial") {
			t.Errorf("flow %s, first seen %d µs after its first packet: %+v", key, d.micros()-c.first(id), d)
		}
		if late {
			partial++
			if d.Label != "unknown" || d.Stage != "" || d.Packets != 0 {
				t.Errorf("flow %s is partial and a model was asked: %+v", key, d)
			}
		}
	}
	if partial < 5*kills {
		t.Errorf("only %d flows were partial, after %d kills", partial, kills)
	}
	t.Logf("%d flows decided, %d of them partial", len(flows), partial)
}
