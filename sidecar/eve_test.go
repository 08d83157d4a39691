package sidecar_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// suricata is a sidecar with the toy bundle, and what Suricata would send it.
type suricata struct {
	t      *testing.T
	config config.Config
	stop   func()
}

func startSuricata(t *testing.T, change func(*bundle.Bundle)) *suricata {
	t.Helper()
	toy, err := bundle.Open("../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	change(toy)
	dir := t.TempDir()
	c := config.Default()
	c.Listen.Socket = filepath.Join(dir, "taps.sock")
	c.Labels.Path = filepath.Join(dir, "labels.jsonl")
	c.EVE.Listen = filepath.Join(dir, "eve.sock")
	c.EVE.Output = filepath.Join(dir, "eve.json")
	c.EVE.Wait = 10 * time.Second
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: toy, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.Stop(ctx), toy.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return &suricata{t, c, stop}
}

// send sends records over a connection of its own, as eve-log does.
func (s *suricata) send(lines []string) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.config.EVE.Listen)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(lines, "")); err != nil {
		s.t.Error(err)
	}
}

// output is what the sidecar has written.
func (s *suricata) output() []string {
	s.t.Helper()
	b, err := os.ReadFile(s.config.EVE.Output)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		lines = append(lines, line)
	}
	return lines
}

func eveTime(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000-0700")
}

// records are what Suricata writes of a capture: a record when a flow begins,
// one when it ends.
func records(t *testing.T, path string) (lines []string, flows int) {
	t.Helper()
	source, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	type times struct{ start, end int64 }
	open := map[uint64]times{}
	from := replay.NewFlows(source, replay.Options{})
	var ev replay.Event
	for {
		if err := from.Next(&ev); err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return lines, flows
		} else if err != nil {
			t.Fatal(err)
		}
		at, known := open[ev.Flow]
		head := fmt.Sprintf(`{"timestamp":"%s","flow_id":%d,"event_type":`, eveTime(ev.Time), ev.Flow)
		switch {
		case ev.Kind == replay.EndEvent:
			flows++
			lines = append(lines, fmt.Sprintf(`%s"flow","flow":{"pkts_toserver":%d,"pkts_toclient":%d,"start":"%s","end":"%s"}}`+"\n",
				head, ev.OrigPkts, ev.RespPkts, eveTime(at.start), eveTime(at.end)))
		case !known:
			lines = append(lines, head+`"alert","alert":{"signature":"a \"quoted\" {one}"}}`+"\n")
			open[ev.Flow] = times{ev.Time, ev.Time}
		default:
			open[ev.Flow] = times{at.start, ev.Time}
		}
	}
}

// labelled is what a record says.
type labelled struct {
	FlowID    uint64 `json:"flow_id"`
	EventType string `json:"event_type"`
	ServeFlow *struct {
		Label, Stage, Model, Version, Reason string
		Score, Margin                        float32
		Packets                              int
		LatencyUS                            int64 `json:"latency_us"`
	}
}

// check compares the output with what went in, and with the labels that the
// tap got.
func (s *suricata) check(in []string, labels map[uint64]wire.Label) {
	t := s.t
	t.Helper()
	out := s.output()
	var stripped []string
	for _, line := range out {
		var r labelled
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if at := strings.Index(line, `,"serveflow":{`); at >= 0 {
			line = line[:at] + line[at+strings.IndexByte(line[at:], '}')+1:]
		}
		stripped = append(stripped, line)
		l, known := labels[r.FlowID]
		l.Services = "" // records do not have it
		if r.EventType != "flow" {
			l = wire.Label{Flow: l.Flow, Label: l.Label, Score: l.Score, Model: "@"}
		}
		switch got := r.ServeFlow; {
		case got == nil && r.EventType == "flow" && known:
			t.Errorf("the record of flow %d has no label", r.FlowID)
		case got != nil && (wire.Label{
			Flow: l.Flow, Label: got.Label, Score: got.Score, Stage: got.Stage, Packets: got.Packets,
			LatencyUS: got.LatencyUS, Model: got.Model + "@" + got.Version, Reason: got.Reason, Margin: got.Margin,
		}) != l:
			t.Errorf("flow %d: the record says %+v, the tap got %+v", r.FlowID, *got, l)
		}
	}
	in = slices.Sorted(slices.Values(in))
	slices.Sort(stripped)
	if !slices.Equal(in, stripped) {
		t.Errorf("%d records went in and %d others came out", len(in), len(stripped))
	}
}

// Records of captures carry the labels that their taps got, whether
// Suricata writes before its tap sends, meanwhile, or after.
func TestEVE(t *testing.T) {
	paths, err := filepath.Glob("../test/captures/*.pcap*")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, paths)
	}
	for _, path := range paths {
		for _, order := range []string{"before", "meanwhile", "after"} {
			for _, capture := range []bool{true, false} {
				name := fmt.Sprintf("%s/%s/capture=%v", filepath.Base(path), order, capture)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					testEVE(t, path, order, capture)
				})
			}
		}
	}
}

func testEVE(t *testing.T, path, order string, capture bool) {
	s := startSuricata(t, func(*bundle.Bundle) {})
	in, flows := records(t, path)
	sent := make(chan struct{})
	switch order {
	case "before":
		s.send(in)
		close(sent)
	case "meanwhile":
		go func() {
			defer close(sent)
			s.send(in)
		}()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	labels := map[uint64]wire.Label{}
	_, err := replay.LabelFile(ctx, s.config.Listen.Socket, path, replay.TapOptions{Sensor: "suricata", Capture: capture}, replay.Options{}, func(f *replay.Labelled) error {
		if f.Label.Reason != "" {
			labels[f.Flow] = f.Label
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if order == "after" {
		s.send(in)
		close(sent)
	}
	<-sent
	s.stop()
	if len(labels) != flows {
		t.Errorf("%d labels of %d flows", len(labels), flows)
	}
	s.check(in, labels)
}

// A flow record ends its flow, once the tap's events have come: no END, no
// SYNC and no quiet time is waited for.
func TestEVEEndsFlows(t *testing.T) {
	s := startSuricata(t, func(b *bundle.Bundle) {
		clear(b.Packet.Stages[1].Thresholds) // any label will do
	})
	conn, err := net.Dial("unix", s.config.Listen.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tap := wire.NewEncoder(conn)
	tap.Hello(&wire.Hello{Engine: "suricata", Sensor: "suricata", Reply: true})
	labels := make(chan wire.Label, 1)
	go func() {
		in := wire.NewDecoder(conn)
		var m wire.Message
		for in.Next(&m) == nil {
			if m.Kind == wire.KindLabel {
				labels <- m.Label
			}
		}
	}()
	frame := []byte{0x45, 0, 0, 41, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0xc0, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0}
	send := func(index uint64) {
		if err := tap.Packet(&wire.Message{
			Flow: wire.UintID(7), Time: 1e9 + int64(index), OrigPkts: index, Link: uint32(packet.RawIP), WireLen: 41, Raw: frame,
		}); err != nil {
			t.Fatal(err)
		}
	}
	record := fmt.Sprintf(`{"timestamp":"%s","flow_id":7,"event_type":"flow","app_proto":"tls","flow":{"pkts_toserver":2,"pkts_toclient":0,"start":"%s"}}`+"\n",
		eveTime(2e9), eveTime(1e9+1))
	send(1)
	s.send([]string{record})
	select {
	case l := <-labels:
		t.Fatalf("decided before the last packet: %+v", l)
	case <-time.After(300 * time.Millisecond):
	}
	before := time.Now()
	send(2)
	label := <-labels
	if label.Reason != "flow_end" || label.Packets != 2 {
		t.Errorf("the tap got %+v", label)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("deciding took %v", took)
	}
	tap.End(wire.UintID(7), 3e9) // is of no consequence
	s.stop()
	s.check([]string{record}, map[uint64]wire.Label{7: label})
	const end = `"label":"dns","score":0.33333334,"margin":0,"stage":"slow","packets":2`
	for _, path := range []string{s.config.EVE.Output, s.config.Labels.Path} {
		log, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(log), end) || !strings.Contains(string(log), `"reason":"flow_end","agrees":false}`) {
			t.Errorf("%s: %s; %v", path, log, err)
		}
	}
}
