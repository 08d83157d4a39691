package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

func TestManyTapsAtOnce(t *testing.T) {
	r := start(t, nil)
	const taps, flows = 5, 300
	var wg sync.WaitGroup
	for k := range taps {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := r.hello(wire.Hello{Reply: true, Capture: k%2 == 0, Sensor: fmt.Sprint(k)})
			for id := range uint64(flows) {
				c.packet(id+uint64(k)*1000, 1)
				c.packet(id+uint64(k)*1000, 2)
				c.End(wire.UintID(id+uint64(k)*1000), 3)
			}
			c.Sync(uint64(k), true)
			labels := 0
			for m := c.next(); m.Kind != wire.KindSynced; m = c.next() {
				labels++
			}
			if labels != flows {
				t.Errorf("%d labels before SYNCED, want %d", labels, flows)
			}
		}()
	}
	wg.Wait()
	if n := r.shards.total(); n != taps*flows*3 {
		t.Errorf("%d events came to the shards, want %d", n, taps*flows*3)
	}
	if r.shards.astray > 0 {
		t.Errorf("%d events came to another shard than their flow's", r.shards.astray)
	}
	used := map[int]int{}
	for _, i := range r.shards.shard {
		used[i]++
	}
	for i := range 3 {
		if used[i] < taps*flows/6 {
			t.Errorf("shard %d has %d of %d flows", i, used[i], taps*flows)
		}
	}
}

func TestHangsUpOn(t *testing.T) {
	tests := []struct {
		name string
		send func(*tap)
		code wire.ErrorCode
		text string
	}{
		{"no HELLO", func(c *tap) { c.packet(1, 1) }, wire.CodeOrder, "the first message is HELLO"},
		{"another HELLO", func(c *tap) { c.Hello(&wire.Hello{}); c.Hello(&wire.Hello{}) }, wire.CodeOrder, "HELLO"},
		{"a message of the sidecar's", func(c *tap) { c.Hello(&wire.Hello{}); c.Synced(1) }, wire.CodeOrder, "SYNCED"},
		{"garbage", func(c *tap) { c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, wire.CodeMalformed, "message"},
		{"garbage after HELLO", func(c *tap) { c.Hello(&wire.Hello{}); c.Write([]byte{0xc1}) }, wire.CodeMalformed, ""},
		{"a length of 4 GiB", func(c *tap) {
			c.Hello(&wire.Hello{})
			c.Write([]byte{0x98, 1, 5, 0, 0, 1, 0, 0, 101, 0xc6, 0xff, 0xff, 0xff, 0xff})
		}, wire.CodeMalformed, ""},
		{"a message cut in half", func(c *tap) { c.Hello(&wire.Hello{}); c.Write([]byte{0x98, 1, 5}); c.CloseWrite() }, wire.CodeMalformed, ""},
		{"another version", func(c *tap) { c.Hello(&wire.Hello{Version: 99}) }, wire.CodeVersion, "version"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil)
			c := r.dial()
			test.send(c)
			if test.name == "another version" {
				// The encoder refuses to write it.
				c.Write([]byte{0x93, 0, 99, 0x80})
			}
			if code, text := c.hungUp(); code != test.code || !strings.Contains(text, test.text) {
				t.Errorf("hung up with code %d, %q; want %d, %q", code, text, test.code, test.text)
			}
			r.hello(wire.Hello{}) // others are served
		})
	}
}

func TestHelloTimeout(t *testing.T) {
	r := start(t, func(o *Options) { o.HelloTimeout = 30 * time.Millisecond })
	c := r.dial()
	if code, _ := c.hungUp(); code != wire.CodeTimeout {
		t.Errorf("code %d", code)
	}
}

func TestIdleTimeout(t *testing.T) {
	r := start(t, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	silent := []*tap{r.hello(wire.Hello{}), r.hello(wire.Hello{Capture: true})} // which may have nothing to say
	silent[1].Stats(1, 1, 0)
	c := r.hello(wire.Hello{})
	c.Stats(1, 1, 0)
	if code, _ := c.hungUp(); code != wire.CodeTimeout {
		t.Errorf("code %d", code)
	}
	time.Sleep(100 * time.Millisecond)
	for _, c := range silent {
		c.Sync(7, false)
		if m := c.next(); m.Kind != wire.KindSynced {
			t.Errorf("a tap that need not speak got %+v", m)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	r := start(t, func(o *Options) { o.MaxConnections = 1 })
	first := r.hello(wire.Hello{})
	if code, text := r.dial().hungUp(); code != wire.CodeLimit || !strings.Contains(text, "max_connections") {
		t.Errorf("code %d, %q", code, text)
	}
	first.Close()
	for deadline := time.Now().Add(5 * time.Second); r.Peers() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	r.hello(wire.Hello{})
}

func TestUsersAreAllowed(t *testing.T) {
	mine := uint32(os.Getuid())
	r := start(t, func(o *Options) { o.AllowUIDs = []uint32{mine + 1} })
	if code, text := r.dial().hungUp(); code != wire.CodeRefused || !strings.Contains(text, "allow_uids") {
		t.Errorf("code %d, %q", code, text)
	}
	start(t, func(o *Options) { o.AllowUIDs = []uint32{mine + 1, mine} }).hello(wire.Hello{})
}

// TestALiveTapThatNeverReads loses labels and holds nobody up.
func TestALiveTapThatNeverReads(t *testing.T) {
	r := start(t, nil)
	c := r.hello(wire.Hello{Reply: true})
	const flows = 100_000
	for id := range uint64(flows) {
		if err := c.packet(id, 1); err != nil {
			t.Fatal(err)
		}
	}
	other := r.hello(wire.Hello{Reply: true, Sensor: "other"})
	other.Sync(1, false)
	if m := other.next(); m.Kind != wire.KindSynced {
		t.Errorf("got %v", m.Kind)
	}
	c.CloseWrite()
	labels := 0
	for {
		var m wire.Message
		if c.in.Next(&m) != nil {
			break
		}
		labels++
	}
	if n := r.shards.total(); n != flows {
		t.Errorf("%d of %d events came to the shards", n, flows)
	}
	if labels == 0 || labels == flows {
		t.Errorf("%d labels of %d arrived: some, not all, fit", labels, flows)
	}
}

// TestACaptureThatReadsLate is not read from meanwhile, and loses nothing.
func TestACaptureThatReadsLate(t *testing.T) {
	r := start(t, nil)
	c := r.hello(wire.Hello{Reply: true, Capture: true})
	const flows = 100_000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for id := range uint64(flows) {
			c.packet(id, 1)
		}
		c.Sync(1, true)
	}()
	select {
	case <-sent:
		t.Error("everything was taken from a capture that does not read")
	case <-time.After(300 * time.Millisecond):
	}
	other := r.hello(wire.Hello{Sensor: "other"})
	other.Sync(1, false)
	other.next()
	labels := 0
	for m := c.next(); m.Kind != wire.KindSynced; m = c.next() {
		labels++
	}
	if labels != flows {
		t.Errorf("%d labels, want %d", labels, flows)
	}
}

// TestHangingUpLosesNoEvent: a tap that ends without reading its labels has
// still said what it said.
func TestHangingUpLosesNoEvent(t *testing.T) {
	r := start(t, nil)
	c := r.hello(wire.Hello{Reply: true})
	const flows = 20_000
	for id := range uint64(flows) {
		c.packet(id, 1)
	}
	c.UnixConn.Close()
	for deadline := time.Now().Add(10 * time.Second); r.shards.total() < flows && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := r.shards.total(); n != flows {
		t.Errorf("%d of %d events came to the shards", n, flows)
	}
}

// TestStopTakesWhatWasSent stops the server with events in the socket.
func TestStopTakesWhatWasSent(t *testing.T) {
	r := start(t, nil)
	r.shards.hold = make(chan struct{})
	c := r.hello(wire.Hello{Reply: true})
	// In one write: a socket that nobody reads from holds few small ones.
	var sent bytes.Buffer
	one := tap{Encoder: wire.NewEncoder(&sent)}
	const flows = 500
	for id := range uint64(flows) {
		one.packet(id, 1)
	}
	if _, err := c.Write(sent.Bytes()); err != nil {
		t.Fatal(err)
	}
	go func() { time.Sleep(50 * time.Millisecond); close(r.shards.hold) }()
	r.end()
	if n := r.shards.total(); n != flows {
		t.Errorf("%d of %d events came to the shards", n, flows)
	}
	labels := 0
	for {
		m := c.next()
		if m.Kind == wire.KindError {
			if m.Code != wire.CodeShutdown {
				t.Errorf("code %d", m.Code)
			}
			break
		}
		labels++
	}
	if labels != flows {
		t.Errorf("%d labels, want %d", labels, flows)
	}
	if _, err := os.Lstat(r.path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket is still there")
	}
}

// TestStopDoesNotWaitForACaptureThatNeverReads stops while the reader waits.
func TestStopDoesNotWaitForACaptureThatNeverReads(t *testing.T) {
	r := start(t, nil)
	c := r.hello(wire.Hello{Reply: true, Capture: true})
	go func() {
		for id := uint64(0); c.packet(id, 1) == nil; id++ {
		}
	}()
	time.Sleep(200 * time.Millisecond)
	done := make(chan struct{})
	go func() { r.end(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not stop")
	}
}

// A tap counts from its HELLO until the shards have dealt with all that it
// sent.
func TestTapsAreCounted(t *testing.T) {
	r := start(t, nil)
	want := func(n int, capture bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if taps, c := r.router.Taps("a"); taps == n && c == capture {
				return
			}
			if time.Now().After(deadline) {
				taps, c := r.router.Taps("a")
				t.Fatalf("%d taps, capture %v; want %d, %v", taps, c, n, capture)
			}
		}
	}
	hold := make(chan struct{})
	r.shards.hold = hold
	want(0, false)
	live := r.hello(wire.Hello{Sensor: "a"})
	want(1, false)
	capture := r.hello(wire.Hello{Sensor: "a", Capture: true, PID: 7})
	r.hello(wire.Hello{Sensor: "b"})
	want(2, true)
	capture.Close()
	time.Sleep(50 * time.Millisecond)
	want(2, true)
	close(hold)
	want(1, false)
	live.Close()
	want(0, false)
}

// What a log tells of a flow comes to the flow's own shard, once for each run
// of the sensor.
func TestClosed(t *testing.T) {
	r := start(t, nil)
	for pid := range 2 {
		r.hello(wire.Hello{Sensor: "a", Capture: true, PID: pid})
	}
	r.hello(wire.Hello{Sensor: "b"})
	const flows = 1000
	var events []flow.Event
	for id := range uint64(flows) {
		events = append(events, flow.Event{ID: wire.UintID(id), Kind: flow.EndReported, OrigPkts: 1})
	}
	r.router.EndReported("a", events)
	r.router.EndReported("nobody", events)
	for deadline := time.Now().Add(10 * time.Second); r.shards.total() < 2*flows; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events", r.shards.total())
		}
	}
	time.Sleep(50 * time.Millisecond)
	if n := r.shards.total(); n != 2*flows {
		t.Errorf("%d events, want %d", n, 2*flows)
	}
}

// Losses that no tap can have do not make the counter go backwards.
func TestLossesAreBounded(t *testing.T) {
	var m *telemetry.Metrics
	r := start(t, func(o *Options) { m = o.Metrics })
	c := r.hello(wire.Hello{})
	for range 3 {
		c.Stats(1, 0, 1<<63-1)
		c.Stats(2, 0, 0)
	}
	c.Sync(1, false)
	c.next()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			if f.GetName() == "serveflow_drops_total" && one.GetCounter().GetValue() > maxTapDropped {
				t.Errorf("%v", one)
			}
		}
	}
}

// Needs have grown if anything more is asked for.
func TestNeedsGrow(t *testing.T) {
	var s Server
	for _, c := range []struct {
		needs wire.Welcome
		more  bool
	}{
		{wire.Welcome{Packets: 3, RawBytes: 192}, true},
		{wire.Welcome{Packets: 3, RawBytes: 192}, false},
		{wire.Welcome{Packets: 3, RawBytes: 192, AfterLabel: true}, true},
		{wire.Welcome{Packets: 3, RawBytes: 704, PayloadBytes: 512, AfterLabel: true}, true},
		{wire.Welcome{Packets: 3, RawBytes: 192}, false},
	} {
		if more := s.SetNeeds(c.needs); more != c.more {
			t.Errorf("%+v: %v", c.needs, more)
		}
	}
}
