package shard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// pools are a pool that serves and one that follows it, of one shard each.
type pools struct {
	t              *testing.T
	leader, shadow *Pool
	served, own    *decisions
	metrics        *telemetry.Metrics
	counts         *telemetry.Shadow
	failures       atomic.Int32
	asked          []wire.Welcome
	streams        map[bool]*Stream // by capture
}

func startPools(t *testing.T, served, shadow *bundle.Bundle) *pools {
	t.Helper()
	p := &pools{t: t, served: &decisions{}, own: &decisions{}, streams: map[bool]*Stream{}}
	p.metrics = telemetry.New(telemetry.Options{Reasons: cascade.ReasonNames()})
	options := PoolOptions{
		Bundle: served, Shards: 1, Jobs: 4, Batch: 2, Metrics: p.metrics,
		Shard: Options{
			MaxFlows: 1 << 12, Deadline: deadline, Payload: true, IdleTimeout: 10 * time.Second, Retention: time.Minute,
			Log: p.served, OnError: func(err error) { t.Log(err) },
		},
	}
	var err error
	if p.leader, err = NewPool(options); err != nil {
		t.Fatal(err)
	}
	p.leader.Announce(func(w wire.Welcome) bool { p.asked = append(p.asked, w); return false })
	options.Shard.Log, options.Bundle, options.Leader = p.own, shadow, p.leader
	options.OnFailure = func(err error) {
		p.failures.Add(1)
		if !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("it failed by %v", err)
		}
	}
	p.follow(options)
	for _, capture := range []bool{false, true} {
		p.streams[capture] = p.leader.Open(Tap{Sensor: "s", Capture: capture, Run: "r", Reply: p.served})
	}
	return p
}

func (p *pools) follow(o PoolOptions) {
	p.t.Helper()
	p.counts = telemetry.NewShadow(telemetry.Options{Reasons: cascade.ReasonNames()}, func() int { return 0 })
	o.Shadow, o.Metrics = p.counts, p.counts.Metrics
	var err error
	if p.shadow, err = NewPool(o); err != nil {
		p.t.Fatal(err)
	}
	p.leader.Follow(p.shadow)
	p.metrics.ReadShadow(func() *telemetry.Shadow { return p.counts })
}

// packet sends packet index of a flow, whose payload gives its label: see testBundle.
func (p *pools) packet(capture bool, id, index uint64, payload int) {
	s := p.streams[capture]
	s.Arrived = time.Now()
	e := s.Add(wire.UintID(id), int64(id*1000+index), frame(1, 2, 1000, 53, payload))
	e.Dir, e.Kind, e.Link, e.OrigPkts = packet.Originator, flow.Frame, packet.RawIP, index
	s.Flush()
}

func (p *pools) stop() {
	p.t.Helper()
	if err := p.leader.Stop(); err != nil {
		p.t.Error(err)
	}
	if err := p.shadow.Stop(); err != nil {
		p.t.Error(err)
	}
}

func (d *decisions) number() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.records)
}

// lines are the decisions: flow, label, reason.
func (d *decisions) lines() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		all = append(all, fmt.Sprintf("%v %s %s", r.Flow, r.Label, r.Reason))
	}
	slices.Sort(all)
	return all
}

func await(t *testing.T, what string, until func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !until(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// counted is what the metrics say of the shadow: name, label values, number.
func (p *pools) counted(name string) map[string]int {
	families, err := p.metrics.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if n := int(m.GetCounter().GetValue()); f.GetName() == "serveflow_shadow_"+name && n > 0 {
				var values []string
				for _, l := range m.GetLabel() {
					values = append(values, l.GetValue())
				}
				all[strings.Join(values, " ")] = n
			}
		}
	}
	return all
}

func (p *pools) wantCounted(want map[string]int) {
	p.t.Helper()
	var got map[string]int
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = p.counted("flows_total"); maps.Equal(got, want) {
			return
		}
	}
	p.t.Errorf("counted %v, want %v", got, want)
}

// answering returns testBundle with another answer of its first stage.
func answering(t *testing.T, answer func(probs, row []float32) error) *bundle.Bundle {
	b := testBundle(t, false, false)
	b.Packet.Stages[0].Model.(*modeltest.Model).Answer = answer
	return b
}

// class returns an answer that is sure of a class.
func class(n int) func(probs, row []float32) error {
	return func(probs, row []float32) error {
		clear(probs)
		probs[n] = 1
		return nil
	}
}

func TestShadowAgreement(t *testing.T) {
	p := startPools(t, testBundle(t, false, false), answering(t, class(1)))
	for _, capture := range []bool{false, true} {
		p.packet(capture, 1, 1, 4) // b by both
		p.packet(capture, 2, 1, 3) // a, and b by the shadow
		p.packet(capture, 3, 1, 150)
		p.packet(capture, 3, 2, 150)
		p.packet(capture, 3, 3, 5) // c by the last stage, long after the shadow has decided
		p.packet(capture, 4, 2, 5) // its first packet is missing
	}
	p.wantCounted(map[string]int{"b agrees": 2, "a differs": 2, "c differs": 2})
	p.stop()
	want := []string{"1 b accepted", "1 b accepted", "2 b accepted", "2 b accepted", "3 b accepted", "3 b accepted"}
	if got := p.own.lines(); !slices.Equal(got, want) {
		t.Errorf("the shadow has decided %v", got)
	}
	if n := len(p.served.labels); n != 8 {
		t.Errorf("%d labels went to the tap", n)
	}
}

// TestShadowBegins: a shadow is given flows once taps know that it needs more of them, and
// nobody who asks what is needed waits for that.
func TestShadowBegins(t *testing.T) {
	p := startPools(t, testBundle(t, false, false), testBundle(t, false, false))
	p.leader.Follow(nil)
	announced := make(chan bool, 1)
	p.leader.Announce(func(w wire.Welcome) bool {
		if w.AfterLabel {
			announced <- true
		}
		return w.AfterLabel
	})
	done := make(chan bool)
	go func() { p.leader.Follow(p.shadow); close(done) }()
	<-announced
	began := time.Now()
	if !p.leader.Asked().AfterLabel {
		t.Error("who connects meanwhile is not asked for more")
	}
	p.packet(false, 1, 1, 50)
	await(t, "a decision", func() bool { return p.served.number() == 1 })
	if took := time.Since(began); took > announceTime/2 {
		t.Skipf("SKIPPED: a decision took %v", took)
	}
	<-done
	p.packet(false, 2, 1, 50)
	p.stop()
	if a, b := p.served.number(), p.own.number(); a != 2 || b != 1 {
		t.Errorf("%d decisions, %d of the shadow", a, b)
	}
}

// TestShadowAsksForMore: taps are asked for what either bundle needs, and the bundle that
// is served is given no more for it.
func TestShadowAsksForMore(t *testing.T) {
	more := testBundle(t, false, false)
	more.Packet.Stages[1].Packets = 5
	p := startPools(t, testBundle(t, false, false), more)
	if got, want := p.leader.Asked(), (wire.Welcome{Packets: 5, RawBytes: 192, AfterLabel: true}); got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	p.packet(false, 1, 4, 100) // which no tap sends for the bundle that is served alone
	for index := range uint64(5) {
		p.packet(false, 2, index+1, 150)
	}
	await(t, "the decisions of both", func() bool { return p.own.number() == 1 && p.served.number() == 1 })
	p.leader.Follow(nil)
	if got, want := p.leader.Asked(), (wire.Welcome{Packets: 3, RawBytes: 192}); got != want {
		t.Errorf("without a shadow asked for %+v, want %+v", got, want)
	}
	p.stop()
	if a, b := p.served.records[0].Packets, p.own.records[0].Packets; a != 3 || b != 5 {
		t.Errorf("decided on %d packets, and on %d by the shadow", a, b)
	}
}

// TestShadowPanics: only the shadow ends, and another can follow.
func TestShadowPanics(t *testing.T) {
	p := startPools(t, testBundle(t, false, false), answering(t, func(probs, row []float32) error {
		if row[0] == 7 {
			panic("on purpose")
		}
		return class(1)(probs, row)
	}))
	p.packet(true, 1, 1, 4)
	p.wantCounted(map[string]int{"b agrees": 1})
	p.packet(true, 2, 1, 7)
	await(t, "the failure", p.shadow.Failed)
	for id := uint64(3); id < 1000; id++ {
		p.packet(true, id, 1, 4)
	}
	await(t, "all labels", func() bool { return p.served.number() == 999 })
	if got := p.leader.Asked(); got.AfterLabel {
		t.Errorf("asked for %+v", got)
	}
	before := p.shadow
	o := before.options
	o.Bundle = answering(t, class(1))
	p.follow(o)
	p.packet(true, 1000, 1, 4)
	p.wantCounted(map[string]int{"b agrees": 1})
	if err := before.Stop(); err != nil {
		t.Error(err)
	}
	p.stop()
	if p.failures.Load() != 1 || before.shards[0].table.Len() == 0 {
		t.Errorf("it failed %d times", p.failures.Load())
	}
}

// TestSlowShadow: live flows do not wait for a shadow, which judges no flow that it has
// missed events of; captures wait, but not for ever.
func TestSlowShadow(t *testing.T) {
	defer func(d time.Duration) { shadowPatience = d }(shadowPatience)
	shadowPatience = 300 * time.Millisecond
	var slow atomic.Bool
	goOn := make(chan struct{})
	p := startPools(t, testBundle(t, false, false), answering(t, func(probs, row []float32) error {
		if slow.Load() {
			<-goOn
		}
		return class(1)(probs, row)
	}))
	p.packet(false, 1, 1, 4)
	p.wantCounted(map[string]int{"b agrees": 1})
	slow.Store(true)
	id := uint64(1)
	for range 200 { // more than its queue holds
		id++
		p.packet(false, id, 1, 4)
		await(t, "a live label", func() bool { return p.served.number() == int(id) })
	}
	if n := p.counted("shed_events_total")[""]; n < 50 || n > 199 {
		t.Errorf("%d events were shed", n)
	}
	began := time.Now()
	for range 200 {
		id++
		p.packet(true, id, 1, 4)
	}
	await(t, "the labels of a capture", func() bool { return p.served.number() == int(id) })
	if waited := time.Since(began); waited < shadowPatience || waited > 5*time.Second {
		t.Errorf("a capture took %v", waited)
	}
	slow.Store(false)
	close(goOn)
	p.stop()
	counted, agreed := p.counted("flows_total"), 0
	for _, r := range p.own.records {
		if r.Reason == "accepted" {
			agreed++
		}
	}
	if counted["b agrees"] != agreed || counted["b agrees"]+counted["b served_only"] != int(id) || agreed < 10 {
		t.Errorf("%d flows, %d decided by the shadow, counted %v", id, agreed, counted)
	}
}

// TestShadowMissesEvents: a flow that is open when events are lost is not judged.
func TestShadowMissesEvents(t *testing.T) {
	p := startPools(t, testBundle(t, false, false), testBundle(t, false, false))
	p.packet(false, 1, 1, 150) // both need two more
	p.packet(false, 2, 1, 4)   // decided before
	p.wantCounted(map[string]int{"b agrees": 1})
	leader := p.leader.shards[0]
	level := &leader.slow.admission.level
	p.leader.Stop() // from here on by hand
	leader.following.shadow.Store(p.shadow.shards[0])
	b := flow.NewBatch(p.streams[false].source, time.Now())
	*level = 1
	leader.slow.reportLoad()
	if !leader.busy() {
		t.Fatal("it is not busy")
	}
	b.Add()
	leader.pass(b)
	if n := p.counted("shed_events_total")[""]; n != 1 || !leader.following.sources[0].lost {
		t.Errorf("%d events were shed", n)
	}
	*level = 0
	leader.slow.reportLoad()
	b = flow.NewBatch(p.streams[false].source, time.Now())
	e := b.Add()
	e.ID, e.Time, e.Link, e.OrigPkts = wire.UintID(1), 1002, packet.RawIP, 2
	b.AddBytes(e, frame(1, 2, 1000, 53, 5))
	leader.pass(b)
	await(t, "the flow is given up", func() bool { return p.own.number() == 2 })
	p.shadow.Stop()
	if got, want := p.own.lines(), []string{"1 unknown shed", "2 b accepted"}; !slices.Equal(got, want) {
		t.Errorf("the shadow has decided %v, want %v", got, want)
	}
}

// TestShadowSkipsWhileTheLeaderIsBusy: what is queued already is left out, too, and the
// labels with it are counted.
func TestShadowSkipsWhileTheLeaderIsBusy(t *testing.T) {
	p := startPools(t, testBundle(t, false, false), testBundle(t, false, false))
	p.stop()
	leader, shadow := p.leader.shards[0], p.shadow.shards[0]
	leader.slow.level.Store(1)
	b := flow.NewBatch(p.streams[false].source, time.Now())
	b.Add()
	b.Verdicts = append(b.Verdicts, flow.Verdict{Key: flow.Key{ID: wire.UintID(9)}, Label: "c", Decided: true})
	epoch := shadow.shadowing.epochs[0]
	shadow.handleBatch(b)
	if shadow.shadowing.epochs[0] != epoch+1 || p.counted("shed_events_total")[""] != 1 {
		t.Errorf("epoch %d after %d, shed %v", shadow.shadowing.epochs[0], epoch, p.counted("shed_events_total"))
	}
	p.wantCounted(map[string]int{"c served_only": 1})
	if !shadow.holdsCaptures() {
		t.Error("captures go on in the shadow")
	}
}

// BenchmarkShadow is a packet's way through a shard and its shadow.
func BenchmarkShadow(b *testing.B) {
	r := newRig(b, testBundle(b, false, false), 1<<16, true)
	r.source.Reply = nil
	shadow := newRig(b, testBundle(b, false, false), 1<<16, true)
	shadow.shard.options.Leader = r.shard
	shadow.shard.options.Agreement = telemetry.NewShadow(telemetry.Options{}, nil).NewAgreement()
	r.shard.setShadow(shadow.shard)
	r.eachPacket(b, func() {
		shadow.shard.handleBatch(<-shadow.shard.captures)
		r.shard.records, shadow.shard.records = r.shard.records[:0], shadow.shard.records[:0]
	})
}

// However many labels come while a shadow lives, each has a number of its own.
func TestShadowLabels(t *testing.T) {
	c := newShadowing()
	for n := range 1<<16 + 10 {
		label := fmt.Sprint("label ", n)
		if number := c.numberOf(label, true); number == 0 || number == undecided || c.labels[number] != label {
			t.Fatalf("%s has the number %d", label, number)
		}
	}
}
