package faults

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// TestHostileTaps lets taps break every rule at once, while one that keeps them
// gets all its labels, every time. The log says what happened, and memory stays
// bounded.
func TestHostileTaps(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "[listen]\nhello_timeout = \"1s\"\nmax_connections = 250")
	s := p.start()
	want := p.wellBehaved("peace")
	if len(want) != 8 || want[1] != "web" {
		t.Fatalf("in peace: %v", want)
	}
	over := make(chan struct{})
	var good sync.WaitGroup
	rounds := 0
	good.Go(func() {
		for ; rounds < 3 || !closed(over); rounds++ {
			if got := p.wellBehaved(fmt.Sprintf("good %d", rounds)); !maps.Equal(got, want) {
				t.Errorf("round %d: %v, want %v", rounds, got, want)
			}
		}
	})
	stopInside(p)
	t.Run("attacks", func(t *testing.T) {
		for name, attack := range map[string]func(*place, *process){
			"nonsense": speakNonsense, "silence": staySilent, "half a message": leaveInside,
			"a deaf live tap": doNotReadLive, "a deaf capture": doNotReadCapture, "a crowd": comeInCrowds,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p, s := *p, *s
				p.t, s.t = t, t
				attack(&p, &s)
			})
		}
	})
	close(over)
	good.Wait()
	t.Logf("%d captures of the well-behaved tap, %d MiB at most", rounds, s.memory()>>20)
	// Flows of the well-behaved tap are remembered, eight of a capture: that shows
	// where there are thousands of captures.
	if most, limit := s.memory(), max(150<<20, 100<<20+rounds*8<<10); most > limit {
		t.Errorf("the sidecar took %d MiB, want at most %d", most>>20, limit>>20)
	}
	s.stop()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wellBehaved plays a capture and returns the labels of its flows.
func (p *place) wellBehaved(sensor string) map[uint64]string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	labels := map[uint64]string{}
	_, err := replay.LabelFile(ctx, p.socket, captureDir+"/http.pcap",
		replay.TapOptions{Sensor: sensor, Capture: true, Speed: 10}, replay.Options{}, func(f *replay.Labelled) error {
			labels[f.Flow] = f.Label.Label
			return nil
		})
	if err != nil {
		p.t.Errorf("%s: %v", sensor, err)
	}
	return labels
}

// speakNonsense sends what is no message: its connection is closed with a
// reason, which the log has too.
func speakNonsense(p *place, s *process) {
	const hello = "93 00 01 81 a6 73656e736f72 a3 626164" // of sensor "bad"
	for _, c := range []struct {
		name, hex string
		code      wire.ErrorCode
		why       string
	}{
		{"no msgpack", hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")), wire.CodeMalformed, "message"},
		{"another version", "93 00 02 80", wire.CodeVersion, "version 1"},
		{"an event before HELLO", "93 03 01 01", wire.CodeOrder, "the first message is HELLO"},
		{"HELLO twice", hello + hello, wire.CodeOrder, "unexpected HELLO"},
		{"a LABEL", hello + "99 10 01 a161 00 a161 01 00 a161 a161", wire.CodeOrder, "unexpected LABEL"},
		{"a text of 4 GiB", hello + "92 01 db ffffffff 6161", wire.CodeMalformed, "flow: 4294967295 bytes"},
		{"a packet of 4 GiB", hello + "99 01 05 00 00 01 00 00 00 c6 ffffffff", wire.CodeMalformed, "raw: 4294967295 bytes"},
		{"a message of 4 Gi elements", hello + "dd ffffffff 01", wire.CodeMalformed, "4294967295 elements"},
		{"arrays in arrays", hello + "92 20" + strings.Repeat("91", 100_000), wire.CodeMalformed, "over 0"},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			p.t.Fatal(err)
		}
		bad := p.dial()
		bad.UnixConn.Write(b) // part of it may find nobody left to read it
		_, code, text := bad.rest()
		if code != c.code || !strings.Contains(text, c.why) {
			p.t.Errorf("%s: the tap received %d, %q, want %d, %q", c.name, code, text, c.code, c.why)
		}
		s.awaitLog("tap disconnected", "level", "warn", "error", c.why)
	}
}

// staySilent connects and says nothing.
func staySilent(p *place, s *process) {
	if _, code, _ := p.dial().rest(); code != wire.CodeTimeout {
		p.t.Errorf("a tap without HELLO received %d", code)
	}
	s.awaitLog("tap disconnected", "level", "warn", "error", "i/o timeout")
}

// stopInside sends half a message and stays.
func stopInside(p *place) *tap {
	c := p.hello(wire.Hello{Sensor: "half"})
	if _, err := c.Write([]byte{0x99, byte(wire.KindPacket), 5, 0, 0, 1}); err != nil {
		p.t.Error(err)
	}
	return c
}

// leaveInside sends half a message and leaves.
func leaveInside(p *place, s *process) {
	stopInside(p).Close()
	s.awaitLog("tap disconnected", "level", "warn", "sensor", "half", "error", "the connection ended inside message")
}

// crowd is the messages of so many flows that are decided at once.
func crowd(flows int) []byte {
	var b bytes.Buffer
	c := tap{Encoder: wire.NewEncoder(&b)}
	for id := range uint64(flows) {
		c.packet(id, 1, 53)
	}
	return b.Bytes()
}

// doNotReadLive: a live tap that does not read its labels loses them, but none
// of its events.
func doNotReadLive(p *place, s *process) {
	const flows = 50_000
	c := p.hello(wire.Hello{Sensor: "deaf and live", Reply: true})
	if _, err := c.UnixConn.Write(crowd(flows)); err != nil {
		p.t.Error(err)
	}
	s.awaitLog("tap is not reading its labels; they are dropped", "sensor", "deaf and live")
	s.awaitMetric(`labels_total{label="dns"}`, flows)
	s.awaitMetric(`drops_total{reason="reply_full"}`, 1000)
	c.Close()
	line := s.awaitLog("tap disconnected", "sensor", "deaf and live")
	if n, _ := line["labels_dropped"].(float64); n < 1000 {
		p.t.Errorf("the log says that %v labels were dropped", n)
	}
}

// doNotReadCapture: a tap of a capture that does not read its labels is not
// read from either.
func doNotReadCapture(p *place, s *process) {
	c := p.hello(wire.Hello{Sensor: "deaf", Reply: true, Capture: true})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.UnixConn.Write(crowd(200_000)) // until it is closed below
	}()
	s.awaitLog("capture tap is not reading its labels; reading from it is paused", "sensor", "deaf")
	if closed(sent) {
		p.t.Error("all events of a capture that does not read were taken")
	}
	c.Close()
	<-sent
}

// comeInCrowds connects 200 times at once.
func comeInCrowds(p *place, s *process) {
	const taps, flows = 200, 50
	events := crowd(flows)
	var all sync.WaitGroup
	for i := range taps {
		all.Go(func() {
			c, err := p.tryDial()
			if err != nil {
				p.t.Error(err)
				return
			}
			defer c.Close()
			c.Hello(&wire.Hello{Sensor: fmt.Sprintf("crowd %d", i), Reply: true})
			c.UnixConn.Write(events)
			c.Sync(1, true)
			labels := 0
			for m := (wire.Message{}); m.Kind != wire.KindSynced; {
				if err := c.in.Next(&m); err != nil {
					p.t.Errorf("tap %d of the crowd: %v", i, err)
					return
				}
				if m.Kind == wire.KindLabel {
					labels++
				}
			}
			if labels != flows {
				p.t.Errorf("tap %d of the crowd got %d labels, want %d", i, labels, flows)
			}
		})
	}
	all.Wait()
}

// TestTooManyTaps: past the limit taps are refused, with the reason, until one
// has left.
func TestTooManyTaps(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "listen.max_connections = 5")
	s := p.start()
	var taps []*tap
	for range 5 {
		taps = append(taps, p.hello(wire.Hello{Sensor: "office"}))
	}
	if _, code, text := p.dial().rest(); code != wire.CodeLimit || !strings.Contains(text, "listen.max_connections") {
		t.Errorf("one tap too many received %d, %q", code, text)
	}
	s.awaitLog("connection refused", "level", "warn", "error", "5 connections are open: see listen.max_connections")
	if n := s.sample()[`drops_total{reason="over_limit"}`]; n != 1 {
		t.Errorf("%v connections refused, want 1", n)
	}
	taps[0].Close()
	await(t, func() error {
		c := p.dial()
		defer c.Close()
		c.Hello(&wire.Hello{Sensor: "late"})
		var m wire.Message
		if err := c.in.Next(&m); err != nil || m.Kind != wire.KindWelcome {
			return fmt.Errorf("still refused: %v, %v", m.Kind, err)
		}
		return nil
	})
}
