package faults

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// TestMemoryIsWhatTheConfigurationSays: hostile writers of EVE, captures that read no
// labels and flows that never end, all at once, take no more than limits.memory; the
// sidecar goes on, and says what it lost.
func TestMemoryIsWhatTheConfigurationSays(t *testing.T) {
	const limit = 256 << 20
	p := newPlace(t, "")
	socket := filepath.Join(filepath.Dir(p.config), "eve.sock")
	p.extend(fmt.Sprintf(`limits.memory = "256MiB"
flow.shards = %d
flow.idle_timeout = "10m"
flow.retention = "10m"
eve.listen = %q
eve.output = %q
`, min(runtime.NumCPU(), 4), socket, filepath.Join(filepath.Dir(p.config), "eve.json")))
	s := p.start()
	s.awaitLog("memory: there is no room for as many flows or connections as flow.max_flows and listen.max_connections say; limits.memory gives more")

	// Records of EVE that do not end, 15 MiB on each of 64 connections, and flow records
	// that wait.
	unfinished := append([]byte(`{"timestamp":"`), bytes.Repeat([]byte("x"), 1<<20)...)
	for range 64 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Minute))
		for range 15 {
			if _, err := c.Write(unfinished); err != nil {
				t.Fatal(err)
			}
		}
	}
	waits, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	waits.SetDeadline(time.Now().Add(2 * time.Minute))
	for id := range 20_000 {
		fmt.Fprintf(waits, `{"timestamp":"2026-11-29T10:00:00.000000+0000","flow_id":%d,"event_type":"flow","pad":%q}`+"\n", 1<<50+id, bytes.Repeat([]byte("p"), 4000))
	}

	// Captures that ask for labels and read none.
	f := newFlows(t, 80, 3)
	for range 8 {
		c := p.hello(wire.Hello{Sensor: "capture", Capture: true, Reply: true})
		go func() {
			b := newFlows(t, 80, 3)
			for range 30_000 / floodFlows {
				if _, err := c.UnixConn.Write(b.next()); err != nil {
					return
				}
			}
		}()
	}
	// Flows that stay undecided.
	open := newFlows(t, 80, 2)
	c := p.hello(wire.Hello{Sensor: "live"})
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	for sent := 0; sent < 400_000; sent += floodFlows {
		if _, err := c.UnixConn.Write(open.next()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.UnixConn.Write(f.next()); err != nil {
		t.Fatal(err)
	}
	c.sync(false)
	got := s.sample()
	t.Logf("%d MiB at most; %v flows, %v evicted, %v labels and %v records lost", s.memory()>>20, got["flows"],
		got[`decisions_total{reason="evicted",stage="fast"}`], got[`drops_total{reason="reply_full"}`], got[`eve_records_total{result="too_long"}`])
	if used := s.memory(); used > limit {
		t.Errorf("%d MiB of %d", used>>20, limit>>20)
	}
	if got[`eve_records_total{result="too_long"}`] == 0 {
		t.Error("no record was too long")
	}
	s.kill()
}
