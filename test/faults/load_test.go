package faults

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"serveflow/sidecar/wire"
)

// TestLoad drives a sidecar at three times what it can sustain. The slow stage
// is slow here, so that it is what there is too little time for. The fast stage
// answers as soon as ever, every flow gets a label, thresholds are loosened
// before anything is shed, memory does not grow, and when the load is over
// everything is soon as before.
func TestLoad(t *testing.T) {
	during := 3 * time.Second
	if *full {
		during = time.Minute
	}
	c := newChanging(t, "[flow]\nshards = 1\nforget = \"500ms\"\nquiet = \"500ms\"\n[labels]\nkeep = 20")
	c.slowDown(10_000)
	s := c.start()
	g := newGenerator(c.place)

	sustained := 2 * c.capacity() // of two flows one wants the slow stage
	g.run(sustained/4, time.Second)

	calm := g.run(sustained/4, 3*time.Second)
	if n := calm.reasons["shed"] + calm.reasons["relaxed"]; n > calm.flows/100 {
		t.Errorf("%d of %d flows were spared the slow stage without load", n, calm.flows)
	}
	transitions := s.sample()
	began := time.Now()
	warm := g.run(3*sustained, during/4)
	early := s.rss()
	loaded := g.run(3*sustained, during-during/4)
	late := s.rss()
	took := time.Since(began)
	recovered := s.awaitSteady()

	t.Logf("sustained %.0f flows/s; unloaded: %s", sustained, calm)
	t.Logf("three times that for %v: %s", took.Round(time.Second), loaded)
	t.Logf("steady again after %v; %d MiB after a quarter, %d MiB at the end", recovered.Round(time.Millisecond), early>>20, late>>20)
	after := g.run(sustained/4, time.Second)
	if n := after.reasons["shed"] + after.reasons["relaxed"]; n > after.flows/100 {
		t.Errorf("%d of %d flows were spared the slow stage after the load", n, after.flows)
	}
	for name, m := range map[string]measured{"calm": calm, "warm": warm, "loaded": loaded, "after": after} {
		if m.labelled != m.flows {
			t.Errorf("%s: %d labels of %d flows", name, m.labelled, m.flows)
		}
	}
	if loaded.reasons["relaxed"] == 0 || loaded.reasons["shed"] > loaded.reasons["relaxed"] {
		t.Errorf("thresholds were not loosened first: %v", loaded.reasons)
	}
	if loaded.stages["slow"] == 0 {
		t.Error("the slow stage was not asked any more")
	}
	got := s.sample()
	if got[`load_transitions_total{to="loosened"}`] == transitions[`load_transitions_total{to="loosened"}`] {
		t.Error("no transition was counted")
	}
	if len(s.log.find("load: thresholds are lowered to spare slow stages")) != int(got[`load_transitions_total{to="loosened"}`]) {
		t.Errorf("transitions in the log are not those counted")
	}
	if recovered > 2*time.Second {
		t.Errorf("recovery took %v", recovered)
	}
	if late > early+early/5+16<<20 {
		t.Errorf("memory grew from %d to %d MiB", early>>20, late>>20)
	}
	s.stop()
	if n := len(byFlow(t, readAll(t, c.labels))); n != int(g.next-1)+500 {
		t.Errorf("%d flows in the label log, want %d", n, g.next-1+500)
	}
}

// readAll reads a label log and those rotated from it.
func readAll(t *testing.T, path string) (all []decision) {
	t.Helper()
	for name, i := path, 1; ; name, i = fmt.Sprint(path, ".", i), i+1 {
		if _, err := os.Stat(name); err != nil {
			return all
		}
		all = append(all, readLabels(t, name, true)...)
	}
}

// slowDown makes the slow stage of the bundle ask its trees so many times over,
// each time for so much less: it says what it said before.
func (c *changing) slowDown(times int) {
	c.t.Helper()
	head, rest, _ := strings.Cut(readText(c.t, c.path("slow.txt")), "\nTree=0\n")
	body, _, _ := strings.Cut(rest, "end of trees")
	var blocks []string
	for _, b := range strings.Split("Tree=0\n"+body, "Tree=")[1:] {
		_, b, _ = strings.Cut(b, "\n")
		for _, value := range []string{"-2", "2", "5"} { // of leaves
			small := fmt.Sprintf("%g", map[string]float64{"-2": -2, "2": 2, "5": 5}[value]/float64(times))
			from, to, _ := strings.Cut(b, "leaf_value=")
			leaves, to, _ := strings.Cut(to, "\n")
			words := strings.Fields(leaves)
			for i, w := range words {
				if w == value {
					words[i] = small
				}
			}
			b = from + "leaf_value=" + strings.Join(words, " ") + "\n" + to
		}
		blocks = append(blocks, b)
	}
	var trees bytes.Buffer
	var sizes []string
	for i := range times * len(blocks) {
		block := fmt.Sprintf("Tree=%d\n%s", i, blocks[i%len(blocks)])
		sizes = append(sizes, fmt.Sprint(len(block)))
		trees.WriteString(block)
	}
	head, _, _ = strings.Cut(head, "tree_sizes=")
	text := head + "tree_sizes=" + strings.Join(sizes, " ") + "\n\n" + trees.String() + "end of trees\n"
	c.write(c.path("slow.txt"), text)

	manifest := readText(c.t, c.path("manifest.toml"))
	_, line, _ := strings.Cut(manifest, "\"slow.txt\" = \"")
	digest, _, _ := strings.Cut(line, "\"")
	c.edit(c.path("manifest.toml"), digest, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))))
}

// awaitSteady waits until no shard bends, and returns how long that took.
func (s *process) awaitSteady() time.Duration {
	s.t.Helper()
	began := time.Now()
	await(s.t, func() error {
		got := s.sample()
		if got["load_level"] > 0 || got[`queue_depth{queue="slow"}`] > 0 {
			return fmt.Errorf("level %v, %v wait", got["load_level"], got[`queue_depth{queue="slow"}`])
		}
		return nil
	})
	return time.Since(began)
}

// capacity is how many flows a second the slow stage can be asked about: those
// of a capture, which waits.
func (c *changing) capacity() float64 {
	c.t.Helper()
	const flows = 500
	capture := c.hello(wire.Hello{Sensor: "capture", Capture: true})
	began := time.Now()
	for id := range uint64(flows) {
		for index := uint64(1); index <= 3; index++ {
			capture.do(capture.packet(id, index, 80))
		}
	}
	capture.sync(true)
	return flows / time.Since(began).Seconds()
}

// generator is a tap that sends flows at a rate, whatever comes back: of two,
// one is settled by the fast stage, the other wants the slow one at its third
// packet.
type generator struct {
	*tap
	next uint64 // flow
	all  map[[2]int][]byte

	mu   sync.Mutex
	due  map[uint64]time.Time
	told measured
}

// measured is what became of flows.
type measured struct {
	flows, labelled int
	stages, reasons map[string]int
	fast            []time.Duration // from when a packet was due to the fast stage's label
}

func (m measured) String() string {
	slices.Sort(m.fast)
	at := func(share float64) time.Duration {
		if len(m.fast) == 0 {
			return 0
		}
		return m.fast[int(share*float64(len(m.fast)-1))].Round(time.Microsecond)
	}
	var reasons []string
	for _, r := range slices.Sorted(maps.Keys(m.reasons)) {
		reasons = append(reasons, fmt.Sprintf("%s %.1f %%", r, 100*float64(m.reasons[r])/float64(m.labelled)))
	}
	return fmt.Sprintf("%d flows: %s; fast stage p50 %v, p99 %v", m.flows, strings.Join(reasons, ", "), at(.5), at(.99))
}

func newGenerator(p *place) *generator {
	g := &generator{
		tap: p.hello(wire.Hello{Sensor: "office", Reply: true}), next: 1,
		all: map[[2]int][]byte{}, due: map[uint64]time.Time{},
	}
	g.SetDeadline(time.Now().Add(10 * time.Minute))
	for _, kind := range [][2]int{{53, 1}, {80, 1}, {80, 2}, {80, 3}} {
		var b bytes.Buffer
		one := tap{Encoder: wire.NewEncoder(&b)}
		p.do(one.packet(1<<40, uint64(kind[1]), uint16(kind[0])))
		g.all[kind] = b.Bytes()
	}
	go g.listen()
	return g
}

func (p *place) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// listen takes labels until the connection ends.
func (g *generator) listen() {
	var m wire.Message
	for g.in.Next(&m) == nil {
		if m.Kind != wire.KindLabel {
			continue
		}
		now := time.Now()
		g.mu.Lock()
		id := m.Label.Flow.Uint() - 1<<40
		g.told.labelled++
		g.told.stages[m.Label.Stage]++
		g.told.reasons[m.Label.Reason]++
		if id%2 == 0 {
			g.told.fast = append(g.told.fast, now.Sub(g.due[id]))
		}
		delete(g.due, id)
		g.mu.Unlock()
	}
}

// run sends so many flows a second for a while and waits for their labels.
func (g *generator) run(rate float64, during time.Duration) measured {
	g.t.Helper()
	g.mu.Lock()
	g.told = measured{stages: map[string]int{}, reasons: map[string]int{}}
	g.mu.Unlock()
	const step = 2 * time.Millisecond
	began, first, owed := time.Now(), g.next, 0.0
	var out []byte
	packet := func(id uint64, port, index int) {
		at := len(out)
		out = append(out, g.all[[2]int{port, index}]...)
		binary.BigEndian.PutUint64(out[at+3:], 1<<40+id)
	}
	for due := began; due.Sub(began) < during; due = due.Add(step) {
		time.Sleep(time.Until(due))
		owed += rate * step.Seconds()
		out = out[:0]
		g.mu.Lock()
		for ; owed >= 1; owed-- {
			id := g.next
			g.next++
			g.due[id] = due
			if id%2 == 0 {
				packet(id, 53, 1)
				continue
			}
			for index := 1; index <= 3; index++ {
				packet(id, 80, index)
			}
		}
		g.mu.Unlock()
		if _, err := g.UnixConn.Write(out); err != nil {
			g.t.Fatal(err)
		}
	}
	sent := int(g.next - first)
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		g.mu.Lock()
		done := g.told.labelled >= sent
		g.mu.Unlock()
		if done {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.told
	m.flows = sent
	return m
}
