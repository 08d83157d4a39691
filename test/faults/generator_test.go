package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/evaluate"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// sample is the messages of one flow, to be sent again and again under new ids.
type sample struct {
	bytes []byte
	ids   []int // where the flow's id stands
	truth string
}

// message adds what e has just written to b. Behind the head of the array and
// the type stands the code of an integer of 8 bytes: ids begin at firstID.
func (s *sample) message(b *bytes.Buffer) {
	s.ids = append(s.ids, len(s.bytes)+3)
	s.bytes = append(s.bytes, b.Bytes()...)
	b.Reset()
}

const firstID = 1 << 40

// made is a flow of the toy bundle, to a port.
func made(t testing.TB, port uint16, packets int) sample {
	var s sample
	var b bytes.Buffer
	one := tap{t: t, Encoder: wire.NewEncoder(&b)}
	for index := range packets {
		one.do(one.packet(firstID, uint64(index+1), port))
		s.message(&b)
	}
	return s
}

// recorded are the flows of labelled captures that a bundle serves: of each the
// packets that it wants, and the end.
func recorded(t testing.TB, list []dataset.Capture, b *bundle.Bundle) (all []sample) {
	t.Helper()
	need := wire.Welcome{Packets: b.Packets(), RawBytes: 192 + b.PayloadBytes(), PayloadBytes: b.PayloadBytes()}
	for _, c := range list {
		source, err := replay.Open(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		flows := replay.NewFlows(source, replay.Options{IgnoreChecksums: true})
		at := map[uint64]int{} // by number in the capture
		var out bytes.Buffer
		var ev replay.Event
		var m wire.Message
		e := wire.NewEncoder(&out)
		for {
			err := flows.Next(&ev)
			if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", c.Path, err)
			}
			if !b.Serves(ev.Tuple.Proto) {
				continue
			}
			i, known := at[ev.Flow]
			if !known {
				i = len(all)
				at[ev.Flow], all = i, append(all, sample{truth: c.Label})
			}
			m.Flow, m.Time, m.Dir = wire.UintID(firstID), ev.Time, uint8(ev.Dir)
			m.OrigPkts, m.RespPkts = ev.OrigPkts, ev.RespPkts
			if ev.Kind == replay.EndEvent {
				err = e.End(m.Flow, ev.Time)
			} else if ev.OrigPkts+ev.RespPkts <= uint64(need.Packets) {
				replay.PacketMessage(&m, &ev, &need)
				err = e.Packet(&m)
			} else {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", c.Path, err)
			}
			all[i].message(&out)
		}
		source.Close()
	}
	return all
}

// generator is a tap that sends flows at a rate, whatever comes back: its
// samples in turn.
type generator struct {
	*tap
	samples []sample
	fast    string // the stage whose latency is measured
	next    uint64 // flow, counted from 1
	out     []byte

	mu  sync.Mutex
	due map[uint64]time.Time
	got measured
}

// measured is what became of flows.
type measured struct {
	flows, labelled int
	stages, reasons map[string]int
	truth, given    []string        // where the truth is known
	fast            []time.Duration // from when a flow was due to the label that the fast stage accepted
}

// at is a quantile of the latency of the fast stage.
func (m *measured) at(share float64) time.Duration {
	if len(m.fast) == 0 {
		return 0
	}
	slices.Sort(m.fast)
	return m.fast[int(share*float64(len(m.fast)-1))].Round(10 * time.Microsecond)
}

// share is that of a count in all labels.
func (m *measured) share(count int) float64 { return float64(count) / float64(max(m.labelled, 1)) }

// right is the share of flows whose label is the truth.
func (m *measured) right() float64 {
	n := 0
	for i, truth := range m.truth {
		if truth == m.given[i] {
			n++
		}
	}
	return m.share(n)
}

func (m *measured) macroF1() float64 { return evaluate.Score(m.truth, m.given).Macro }

func (m measured) String() string {
	var reasons []string
	for _, r := range slices.Sorted(maps.Keys(m.reasons)) {
		reasons = append(reasons, fmt.Sprintf("%s %.1f %%", r, 100*m.share(m.reasons[r])))
	}
	return fmt.Sprintf("%d flows: %s; fast stage p50 %v, p99 %v", m.flows, strings.Join(reasons, ", "), m.at(.5), m.at(.99))
}

// generate connects a tap that sends flows like the samples. fast is the stage
// whose latency is measured.
func (p *place) generate(h wire.Hello, samples []sample, fast string) *generator {
	h.Reply = true
	g := &generator{tap: p.hello(h), samples: samples, fast: fast, next: 1, due: map[uint64]time.Time{}}
	g.SetDeadline(time.Now().Add(time.Hour))
	go g.listen()
	return g
}

// listen takes labels until the connection ends.
func (g *generator) listen() {
	var m wire.Message
	for g.in.Next(&m) == nil {
		if m.Kind != wire.KindLabel {
			continue
		}
		now, l := time.Now(), &m.Label
		g.mu.Lock()
		id := l.Flow.Uint() - firstID
		due, open := g.due[id]
		if !open {
			g.t.Errorf("a label for flow %d, which has one or was never sent: %+v", id, l)
		}
		delete(g.due, id)
		g.got.labelled++
		g.got.stages[l.Stage]++
		g.got.reasons[l.Reason]++
		if l.Stage == g.fast && l.Reason == "accepted" {
			g.got.fast = append(g.got.fast, now.Sub(due))
		}
		if truth := g.sample(id).truth; truth != "" {
			g.got.truth, g.got.given = append(g.got.truth, truth), append(g.got.given, l.Label)
		}
		g.mu.Unlock()
	}
}

// sample is what a flow is like.
func (g *generator) sample(id uint64) *sample { return &g.samples[id%uint64(len(g.samples))] }

// put adds the messages of the next flow to what is sent. g.mu is held.
func (g *generator) put(due time.Time) {
	id := g.next
	g.next++
	g.due[id] = due
	s, at := g.sample(id), len(g.out)
	g.out = append(g.out, s.bytes...)
	for _, i := range s.ids {
		binary.BigEndian.PutUint64(g.out[at+i:], firstID+id)
	}
}

func (g *generator) send() {
	g.t.Helper()
	_, err := g.UnixConn.Write(g.out)
	g.out = g.out[:0]
	g.do(err)
}

// begin forgets what was measured.
func (g *generator) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.got = measured{stages: map[string]int{}, reasons: map[string]int{}}
}

// run sends so many flows a second for a while and waits for their labels.
func (g *generator) run(rate float64, during time.Duration) measured {
	g.t.Helper()
	const step = 2 * time.Millisecond
	g.begin()
	began, first, owed := time.Now(), g.next, 0.0
	for due := began; due.Sub(began) < during; due = due.Add(step) {
		time.Sleep(time.Until(due))
		g.mu.Lock()
		for owed += rate * step.Seconds(); owed >= 1; owed-- {
			g.put(due)
		}
		g.mu.Unlock()
		g.send()
	}
	return g.await(int(g.next - first))
}

// each sends so many flows as fast as they are taken.
func (g *generator) each(flows int) measured {
	g.t.Helper()
	g.begin()
	for range flows {
		g.mu.Lock()
		g.put(time.Now())
		g.mu.Unlock()
		if len(g.out) > 32<<10 {
			g.send()
		}
	}
	g.send()
	g.do(g.Sync(1, true))
	return g.await(flows)
}

// await waits for the labels of so many flows, which were sent since begin.
func (g *generator) await(sent int) measured {
	for until := time.Now().Add(3 * patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		done := g.got.labelled >= sent
		g.mu.Unlock()
		if done {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.got
	m.flows = sent
	return m
}
