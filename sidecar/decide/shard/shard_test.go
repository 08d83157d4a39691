package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

var classes = []string{"a", "b", "c"}

// decisions is a Log, and the tap's end of the replies.
type decisions struct {
	mu      sync.Mutex
	records []decision.Record
	labels  []wire.Label
}

func (d *decisions) Write(r []decision.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r...)
}

func (d *decisions) Labels(l []wire.Label) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.labels = append(d.labels, l...)
}

func stage(t testing.TB, name string, packets int, batched bool, m model.Model, threshold float32) cascade.Stage {
	t.Helper()
	plan, err := feature.Compile(m.Columns(), feature.MaskAll)
	if err != nil {
		t.Fatal(err)
	}
	return cascade.Stage{Name: name, Packets: packets, Plan: plan, Model: m, Batched: batched, Thresholds: []float32{threshold}}
}

// testBundle answers by payload lengths: after one packet it is sure if the
// payload of it is below 100; after three by the payload of the third, if that
// is below 200.
func testBundle(t testing.TB, batched, meta bool) *bundle.Bundle {
	t.Helper()
	below := func(limit float32, column string) *modeltest.Model {
		m := modeltest.Sure(.9, len(classes), column)
		sure := m.Answer
		m.Answer = func(probs, row []float32) error {
			if row[0] >= limit {
				copy(probs, []float32{.5, .3, .2})
				return nil
			}
			return sure(probs, row)
		}
		return m
	}
	build := func() *cascade.Cascade {
		c, err := cascade.New(classes, []cascade.Stage{
			stage(t, "fast", 1, false, below(100, "p1_payload"), .8),
			stage(t, "slow", 3, batched, below(200, "p3_payload"), .8),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b := &bundle.Bundle{Manifest: &bundle.Manifest{Name: "test", Version: "1.0.0", Labels: classes}, Packet: build()}
	if meta {
		b.Meta = build()
	}
	return b
}

// rig is a shard under test, driven by hand: its events are dealt with as they
// are given.
type rig struct {
	*decisions
	t          testing.TB
	shard      *Shard
	metrics    *telemetry.Metrics
	loads      []string
	source     *flow.Source
	time       int64
	slow       bool // slow stages of trees are not asked
	known      map[uint64]bool
	reconnects int
	errs       []error
}

func (r *rig) Has(sensor string, id wire.FlowID) bool { return r.known[id.Uint()] }

func newRig(t testing.TB, b *bundle.Bundle, max int, capture bool) *rig {
	t.Helper()
	r := &rig{decisions: &decisions{}, t: t, known: map[uint64]bool{}}
	r.source = &flow.Source{Sensor: "s", Capture: capture, Reply: r.decisions}
	r.metrics = telemetry.New(telemetry.Options{Reasons: cascade.ReasonNames()})
	service := r.service(b)
	var err error
	r.shard, err = New(Options{
		Bundle: service, MaxFlows: max, Deadline: deadline, Payload: true,
		IdleTimeout: 10 * time.Second, Retention: time.Minute,
		Log: r.decisions, RecentlyDecided: r, OnError: func(err error) { r.errs = append(r.errs, err) },
		OnLoad:  func(l telemetry.Cell) { r.loads = append(r.loads, l.String()) },
		Metrics: r.metrics.NewShard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	service.Metrics.Activate()
	return r
}

// deadline is how long a flow waits for a slow stage.
const deadline = time.Minute

// service is a service that is closed at the end of the test, if it is not over
// before.
func (r *rig) service(b *bundle.Bundle) *servedBundle {
	r.t.Helper()
	v, err := newServedBundle(b, 4, 2, r.metrics)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { v.Close() })
	return v
}

// frame is an IPv4 UDP packet with so many bytes of payload.
func frame(src, dst byte, sport, dport uint16, payload int) []byte {
	b := make([]byte, 28)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(28+payload))
	b[12], b[15], b[16], b[19] = 10, src, 10, dst
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	binary.BigEndian.PutUint16(b[24:], uint16(8+payload))
	return b
}

// tcp is a segment without payload.
func tcp(src, dst byte, sport, dport uint16, flags byte) []byte {
	b := append(frame(src, dst, sport, dport, 0), make([]byte, 12)...)
	b[3], b[9] = 40, 6
	b[32], b[33] = 5<<4, flags
	return b
}

func (r *rig) batch(fill func(*flow.Batch)) {
	b := flow.NewBatch(r.source, time.Now())
	fill(b)
	r.shard.handleBatch(b)
	if !r.slow {
		for r.shard.slow.len > 0 {
			r.shard.runSlow()
		}
	}
	r.shard.flush()
}

// reconnect sends what follows over another connection of the sensor.
func (r *rig) reconnect() {
	other := *r.source
	r.source = &other
	r.reconnects++
}

// orig sends packet index of flow id from its originator.
func (r *rig) orig(id uint64, index uint64, payload int) {
	r.send(id, index, packet.Originator, frame(1, 2, 1000, 53, payload))
}

func (r *rig) send(id, index uint64, dir packet.Dir, raw []byte) {
	r.time += 1000
	r.batch(func(b *flow.Batch) {
		e := b.Add()
		e.ID, e.Time, e.Dir, e.Kind, e.Link = wire.UintID(id), r.time, dir, flow.Frame, packet.RawIP
		e.OrigPkts = index
		b.AddBytes(e, raw)
	})
}

func (r *rig) meta(id, index uint64, payload int32) {
	r.time += 1000
	r.batch(func(b *flow.Batch) {
		e := b.Add()
		e.ID, e.Time, e.Kind, e.OrigPkts, e.Payload = wire.UintID(id), r.time, flow.Headerless, index, payload
		e.Tuple = packet.Tuple{Proto: 17}
	})
}

func (r *rig) end(id uint64) {
	r.time += 1000
	r.batch(func(b *flow.Batch) {
		e := b.Add()
		e.ID, e.Time, e.Kind = wire.UintID(id), r.time, flow.End
	})
}

// closed tells of the end of a flow of so many packets by another way than the
// tap's.
func (r *rig) closed(id, packets uint64) {
	r.time += 1000
	b := flow.NewBatch(&flow.Source{Sensor: "s"}, time.Now())
	b.OutOfBand = true
	e := b.Add()
	e.ID, e.Time, e.Kind, e.RespPkts = wire.UintID(id), r.time, flow.EndReported, packets
	r.shard.handleBatch(b)
	r.shard.flush()
}

func (r *rig) clock(seconds int64) {
	r.time += seconds * 1e6
	r.batch(func(b *flow.Batch) {
		e := b.Add()
		e.Time, e.Kind = r.time, flow.ClockUpdate
	})
}

func (r *rig) sync(final bool) (passed bool) {
	r.batch(func(b *flow.Batch) { b.Barrier = flow.NewBarrier(1, final, func() { passed = true }) })
	return passed
}

// want checks the decisions so far, each as "flow label stage packets reason
// latency in ms".
func (r *rig) want(want ...string) {
	r.t.Helper()
	for r.shard.pending() > 0 {
		r.shard.handleBatchedAnswer(<-r.shard.batchedAnswers)
	}
	r.shard.flush()
	var got []string
	for i, rec := range r.records {
		got = append(got, fmt.Sprintf("%v %s %s %d %s %d", rec.Flow, rec.Label, rec.Stage, rec.Packets, rec.Reason, rec.LatencyUS/1000))
		if i >= len(r.labels) {
			r.t.Fatalf("decision %q was not sent to the tap", got[i])
		}
		if l := r.labels[i]; l.Flow != rec.Flow || l.Label != rec.Label || l.Score != rec.Score || l.Reason != rec.Reason || l.Model != "test@1.0.0" {
			r.t.Errorf("log and tap got different labels: %+v, %+v", rec, l)
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("decided\n\t%q\nwant\n\t%q", got, want)
	}
}

func (s *Shard) pending() (n int) {
	for _, l := range s.clocks {
		n += l.Scoring()
	}
	return n
}

func TestDecisions(t *testing.T) {
	tests := []struct {
		name  string
		drive func(*rig)
		want  []string
	}{
		{"the first stage is sure", func(r *rig) { r.orig(1, 1, 1) }, []string{"1 b fast 1 accepted 0"}},
		{"the last stage is sure", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 2, 9); r.orig(1, 3, 101) }, []string{"1 c slow 3 last_stage 2"}},
		{"nobody is sure", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 2, 9); r.orig(1, 3, 300) }, []string{"1 unknown slow 3 last_stage 2"}},
		{"the flow ends early", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 2, 9); r.end(1) }, []string{"1 a slow 2 flow_end 2"}},
		{"the flow goes quiet", func(r *rig) { r.orig(1, 1, 100); r.clock(11) }, []string{"1 a slow 1 timeout 10000"}},
		{"not quiet yet", func(r *rig) { r.orig(1, 1, 100); r.clock(9) }, nil},
		{"a packet after a quiet time comes too late", func(r *rig) { r.orig(1, 1, 100); r.time += 11e6; r.orig(1, 2, 1) }, []string{"1 a slow 1 timeout 10000"}},
		{"by its own packets' time, not others'", func(r *rig) { r.orig(2, 1, 1); r.time -= 5e6; r.orig(1, 1, 100); r.clock(20) }, []string{"2 b fast 1 accepted 0", "1 a slow 1 timeout 10000"}},
		{"a packet in time, behind others' time", func(r *rig) { r.orig(1, 1, 100); r.clock(10); r.time -= 5e5; r.orig(1, 2, 9); r.orig(1, 3, 101) }, []string{"1 c slow 3 last_stage 9502"}},
		{"an end after a quiet time comes too late", func(r *rig) { r.orig(1, 1, 100); r.time += 10e6; r.end(1) }, []string{"1 a slow 1 timeout 10000"}},
		{"and so does that of the capture", func(r *rig) { r.orig(1, 1, 100); r.clock(10); r.sync(true) }, []string{"1 a slow 1 timeout 10000"}},
		{"decided once", func(r *rig) { r.orig(1, 1, 1); r.orig(1, 2, 1); r.orig(1, 3, 1); r.end(1); r.clock(11) }, []string{"1 b fast 1 accepted 0"}},
		{"duplicates count once", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 1, 100); r.orig(1, 1, 100); r.orig(1, 2, 1) }, nil},
		{"a gap ends with the last packet", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 3, 101) }, []string{"1 a slow 1 last_stage 1"}},
		{"or with one past it", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 4, 101) }, []string{"1 a slow 1 last_stage 1"}},
		{"a gap is filled by another connection", func(r *rig) { r.orig(1, 1, 100); r.reconnect(); r.orig(1, 3, 101); r.orig(1, 2, 9) }, []string{"1 c slow 3 last_stage 1"}},
		{"or is not", func(r *rig) { r.orig(1, 1, 100); r.reconnect(); r.orig(1, 3, 101); r.orig(1, 4, 9) }, []string{"1 a slow 1 last_stage 2"}},
		{"an unreadable packet is a gap", func(r *rig) { r.orig(1, 1, 100); r.send(1, 2, packet.Originator, []byte{1}); r.orig(1, 3, 9) }, []string{"1 a slow 1 last_stage 2"}},
		{"what is before a gap counts", func(r *rig) { r.orig(1, 1, 100); r.reconnect(); r.orig(1, 3, 300); r.end(1) }, []string{"1 a slow 1 flow_end 2"}},
		{"mid-stream", func(r *rig) { r.orig(1, 2, 1); r.orig(1, 3, 1); r.end(1) }, []string{"1 unknown  0 partial 0"}},
		{"decided before a restart", func(r *rig) { r.known[1] = true; r.orig(1, 2, 1); r.orig(2, 2, 1) }, []string{"2 unknown  0 partial 0"}},
		{"decided and forgotten", func(r *rig) { r.orig(1, 1, 1); r.clock(61); r.orig(1, 2, 1); r.orig(1, 3, 1) }, []string{"1 b fast 1 accepted 0"}},
		{"an id is used again when it is forgotten", func(r *rig) { r.orig(1, 1, 1); r.clock(61); r.orig(1, 1, 2) }, []string{"1 b fast 1 accepted 0", "1 c fast 1 accepted 0"}},
		{"an id is used again after its end", func(r *rig) { r.orig(1, 1, 1); r.end(1); r.orig(1, 1, 2) }, []string{"1 b fast 1 accepted 0", "1 c fast 1 accepted 0"}},
		{"an id is not used again before", func(r *rig) { r.orig(1, 1, 1); r.orig(1, 1, 2) }, []string{"1 b fast 1 accepted 0"}},
		{"unreadable first packet", func(r *rig) { r.send(1, 1, packet.Originator, []byte{1, 2, 3}); r.end(1) }, []string{"1 unknown  0 unparsed 1"}},
		{"the end of nothing", func(r *rig) { r.end(1) }, nil},
		{"no cascade for a tap without headers", func(r *rig) { r.meta(1, 1, 1); r.meta(1, 2, 1) }, []string{"1 unknown  0 unserved 0"}},
		{"the log tells the flow's end", func(r *rig) { r.orig(1, 1, 100); r.orig(1, 2, 9); r.closed(1, 2) }, []string{"1 a slow 2 flow_end 2"}},
		{"the log tells it before the tap is done", func(r *rig) { r.orig(1, 1, 100); r.closed(1, 3); r.orig(1, 2, 9); r.closed(1, 3) }, nil},
		{"and again after", func(r *rig) { r.orig(1, 1, 100); r.closed(1, 2); r.orig(1, 2, 9); r.closed(1, 2) }, []string{"1 a slow 2 flow_end 3"}},
		{"and for the last time", func(r *rig) { r.orig(1, 1, 100); r.closed(1, 2); r.closed(1, 0) }, []string{"1 a slow 1 flow_end 2"}},
		{"packets past those wanted are not waited for", func(r *rig) { r.orig(1, 1, 100); r.reconnect(); r.orig(1, 3, 101); r.closed(1, 1000) }, []string{"1 a slow 1 flow_end 2"}},
		{"the log tells of a flow never seen", func(r *rig) { r.closed(1, 0) }, nil},
		{"an id is reused after the log has reported the end", func(r *rig) { r.orig(1, 1, 1); r.closed(1, 1); r.orig(1, 1, 2) }, []string{"1 b fast 1 accepted 0", "1 c fast 1 accepted 0"}},
		{"sync leaves open flows open", func(r *rig) { r.orig(1, 1, 100); r.sync(false) }, nil},
		{"final sync ends them", func(r *rig) { r.orig(1, 1, 100); r.orig(2, 1, 1); r.sync(true) }, []string{"2 b fast 1 accepted 0", "1 a slow 1 flow_end 1"}},
		{"ids are free after a final sync", func(r *rig) { r.orig(1, 1, 1); r.sync(true); r.orig(1, 1, 2) }, []string{"1 b fast 1 accepted 0", "1 c fast 1 accepted 0"}},
	}
	for _, how := range []string{"one by one", "batched", "gathered"} {
		for _, test := range tests {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				b := testBundle(t, how == "batched", false)
				if how == "gathered" {
					gatherRows(b, 8)
				}
				r := newRig(t, b, 100, true)
				test.drive(r)
				r.want(test.want...)
				if len(r.errs) > 0 {
					t.Error(r.errs)
				}
				if n := len(r.shard.clocks); n > 1+r.reconnects {
					t.Errorf("%d lanes", n)
				}
			})
		}
	}
}

// The LABEL goes to the last connection that asked, also if another brought the
// packet that decided.
func TestLabelGoesToWhoAsked(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 10, true)
	r.orig(1, 1, 100)
	r.reconnect()
	r.source.Reply = nil
	r.orig(1, 2, 9)
	r.orig(1, 3, 1)
	if len(r.labels) != 1 {
		t.Errorf("%d labels", len(r.labels))
	}
}

// TestLengthOfOffloadedPackets: a packet whose IP header has no length yet is
// as long as it was on the wire.
func TestLengthOfOffloadedPackets(t *testing.T) {
	b := testBundle(t, false, false)
	b.Packet.Stages[0].Thresholds = []float32{2, 2, 2}
	r := newRig(t, b, 10, true)
	raw := frame(1, 2, 1000, 53, 7)
	raw[2], raw[3] = 0, 0
	r.batch(func(b *flow.Batch) {
		e := b.Add()
		e.ID, e.Time, e.OrigPkts, e.Link, e.WireLen = wire.UintID(1), 1, 1, packet.RawIP, 35
		b.AddBytes(e, raw)
	})
	if p := r.shard.table.Packets(r.shard.table.Find(flow.Key{ID: wire.UintID(1)}))[0]; p.Length != 35 {
		t.Errorf("length %d, want 35", p.Length)
	}
}

func TestMetaHasItsOwnCascade(t *testing.T) {
	r := newRig(t, testBundle(t, false, true), 100, true)
	r.meta(1, 1, 100)
	r.meta(1, 2, 0)
	r.meta(1, 3, 1)
	r.want("1 b slow 3 last_stage 2")
}

func TestTheFlowToGiveUpIsTheOneWorthLeast(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 3, true)
	r.orig(1, 1, 100) // undecided, two packets
	r.orig(1, 2, 100)
	r.orig(2, 1, 100) // undecided, one packet
	r.orig(3, 1, 1)   // decided
	r.orig(4, 1, 100) // in place of 3
	r.orig(5, 1, 100) // in place of 2
	r.want("3 b fast 1 accepted 0", "2 a fast 1 evicted 3")
	r.orig(1, 3, 101)
	r.want("3 b fast 1 accepted 0", "2 a fast 1 evicted 3", "1 c slow 3 last_stage 6")
	r.orig(2, 2, 100) // was decided as evicted, and that is its label
	r.want("3 b fast 1 accepted 0", "2 a fast 1 evicted 3", "1 c slow 3 last_stage 6")
}

func TestSlowStageThatIsBusy(t *testing.T) {
	b := testBundle(t, true, false)
	hold := make(chan struct{})
	slow := b.Packet.Stages[1].Model.(*modeltest.Model)
	answer := slow.Answer
	slow.Answer = func(probs, row []float32) error { <-hold; return answer(probs, row) }
	r := newRig(t, b, 100, false)
	for id := range uint64(20) {
		r.orig(id, 1, 100)
		r.end(id)
	}
	// Four jobs are there: the rest keep the best label so far, at once.
	if n := len(r.records); n != 16 {
		t.Fatalf("%d flows decided while the slow stage is busy, want 16", n)
	}
	for _, rec := range r.records {
		if rec.Reason != "shed" || rec.Label != "a" || rec.Stage != "fast" {
			t.Errorf("flow %v: %+v", rec.Flow, rec)
		}
	}
	close(hold)
	if !r.sync(false) {
		t.Error("the barrier was not passed")
	}
	if n := len(r.records); n != 20 {
		t.Errorf("%d flows decided after the barrier, want 20", n)
	}
}

// TestFastStagesGoFirst: what wants a slow stage waits until no events do. Past
// what can be asked in time, thresholds are loosened first, then flows are shed;
// all of it is over when the load is.
func TestFastStagesGoFirst(t *testing.T) {
	b := testBundle(t, false, false)
	r := newRig(t, b, 10_000, false)
	s := r.shard
	r.slow = true
	id := uint64(0)
	some := func(n int) {
		for range n {
			id++
			r.orig(id, 1, 100)
			r.end(id)
		}
		s.adjustLoad()
		s.flush()
	}
	age := func(by time.Duration) { // of the flows that wait
		for i := range s.slow.len {
			task := &s.slow.ring[(s.slow.first+i)%maxSlowQueue]
			task.trigger.asked = task.trigger.asked.Add(-by)
		}
	}
	decided := func(want int) {
		t.Helper()
		if n := len(r.records); n != want {
			t.Fatalf("%d flows decided, want %d", n, want)
		}
	}
	some(fewQueued)
	age(2 * deadline)
	some(0) // few flows are no load: past the deadline they are asked about
	decided(fewQueued)
	if s.Level() != 0 || s.QueuedSlow() != 0 {
		t.Fatalf("level %d, %d wait", s.Level(), s.QueuedSlow())
	}
	for _, rec := range r.records {
		if rec.Stage != "slow" {
			t.Fatalf("%+v", rec)
		}
	}

	some(100)
	for s.Level() < maxRelaxLevel {
		s.slow.ring[s.slow.first].trigger.asked = time.Now().Add(-deadline * 3 / 8)
		s.adjustLoad()
		time.Sleep(time.Millisecond)
	}
	before := len(r.records)
	some(10) // of which the fast stage is sure enough now
	for _, rec := range r.records[before:] {
		if rec.Reason != "relaxed" || rec.Stage != "fast" || rec.Label != "a" {
			t.Fatalf("%+v", rec)
		}
	}
	if before != fewQueued || !slices.Equal(r.loads, []string{"loosened"}) {
		t.Errorf("%d flows were shed before; loads: %q", before, r.loads)
	}

	age(2 * deadline)
	some(0)
	decided(fewQueued + 10 + 100)
	for _, rec := range r.records[fewQueued+10+100-fewQueued:] { // some, which are no load
		if rec.Reason != "flow_end" || rec.Stage != "slow" {
			t.Fatalf("%+v", rec)
		}
	}
	for _, rec := range r.records[fewQueued+10 : fewQueued+10+100-fewQueued] {
		if rec.Reason != "shed" || rec.Stage != "fast" || rec.Label != "a" {
			t.Fatalf("%+v", rec)
		}
	}
	if s.Level() != shedLevel {
		t.Errorf("level %d", s.Level())
	}

	r.slow = false
	some(0)
	for s.slow.len > 0 {
		s.runSlow()
	}
	s.flush()
	decided(int(id))
	for until := time.Now().Add(2 * time.Second); s.Level() > 0; time.Sleep(time.Millisecond) {
		if s.adjustLoad(); time.Now().After(until) {
			t.Fatalf("still at level %d", s.Level())
		}
	}
	if want := []string{"loosened", "shedding", "loosened", "steady"}; !slices.Equal(r.loads, want) {
		t.Errorf("loads: %q, want %q", r.loads, want)
	}
}

// TestShedBeforeTheFirstStage: a flow that ends before the first stage has all
// its packets goes to the last stage at once. If there is no time for that, the
// first is asked about the packets there are.
func TestShedBeforeTheFirstStage(t *testing.T) {
	b := testBundle(t, false, false)
	b.Packet.Stages[0].Packets = 2
	r := newRig(t, b, 100, false)
	r.slow = true
	const flows = fewQueued + 2
	for id := range uint64(flows) {
		r.orig(id, 1, 3+int(id)%2*99) // the fast stage is sure of half of them
		r.end(id)
	}
	for i := range r.shard.slow.len {
		r.shard.slow.ring[i].trigger.asked = time.Now().Add(-2 * deadline)
	}
	r.shard.adjustLoad()
	r.shard.flush()
	if len(r.records) != flows {
		t.Fatalf("%d flows were decided, want %d", len(r.records), flows)
	}
	for _, rec := range r.records[:flows-fewQueued] {
		if rec.Reason != "shed" || rec.Label != "a" || rec.Stage != "fast" || rec.Packets != 1 {
			t.Errorf("%+v", rec)
		}
	}
}

// TestComputeLatency: it counts from the arrival of what triggered the decision,
// whichever flows are answered meanwhile.
func TestComputeLatency(t *testing.T) {
	r := newRig(t, testBundle(t, true, false), 100, true)
	arrived := time.Now().Add(-time.Hour)
	send := func(id uint64) {
		for index := range uint64(3) {
			b := flow.NewBatch(r.source, arrived)
			e := b.Add()
			e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), int64(index), index+1, packet.RawIP
			b.AddBytes(e, frame(1, 2, 1000, 53, 100))
			r.shard.handleBatch(b)
		}
	}
	for id := range uint64(4) { // as many as there are jobs
		send(id)
	}
	arrived = time.Now()
	send(4)
	r.sync(false)
	if len(r.records) != 5 {
		t.Fatalf("%d flows are decided", len(r.records))
	}
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "serveflow_compute_latency_seconds" {
			if sum := f.GetMetric()[0].GetHistogram().GetSampleSum(); sum < 4*3600 || sum > 4*3600+60 {
				t.Errorf("four flows an hour and one less than a minute: %v s", sum)
			}
			return
		}
	}
	t.Error("no histogram")
}

// TestLiveFlowsBesideACaptureFlood: batches of captures come without end, and a
// live flow is decided about as soon as it may wait.
func TestLiveFlowsBesideACaptureFlood(t *testing.T) {
	bundle := testBundle(t, false, false)
	fast := bundle.Packet.Stages[0].Model.(*modeltest.Model)
	answer := fast.Answer
	fast.Answer = func(probs, row []float32) error {
		if row[0] == 1 { // of the capture, of which more comes than can be handled
			time.Sleep(time.Microsecond)
		}
		return answer(probs, row)
	}
	r := newRig(t, bundle, 1<<12, false)
	r.shard.slow.admission = newAdmission(20 * time.Millisecond)
	flood := &flow.Source{Sensor: "flood", SensorID: 1, Capture: true}
	stop, over := make(chan struct{}), make(chan error, 1)
	go func() {
		for id := uint64(0); ; {
			b := flow.NewBatch(flood, time.Now())
			for range 16 {
				id++
				e := b.Add()
				e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), int64(id), 1, packet.RawIP
				b.AddBytes(e, frame(1, 2, 1000, 53, 1))
			}
			select {
			case r.shard.captures <- b:
			case <-stop:
				return
			}
		}
	}()
	go func() { over <- r.shard.Run(stop) }()
	for len(r.shard.captures) < QueueBatches/2 {
		time.Sleep(time.Millisecond)
	}
	const flows = 10
	began := time.Now()
	for id := range uint64(flows) {
		b := flow.NewBatch(r.source, began)
		for index := range uint64(3) {
			e := b.Add()
			e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), int64(index), index+1, packet.RawIP
			b.AddBytes(e, frame(1, 2, 1000, 53, 100))
		}
		r.shard.in <- b
	}
	live := func() (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.records {
			if r.records[i].Sensor == "s" {
				n++
			}
		}
		return n
	}
	for live() < flows && time.Since(began) < 10*time.Second {
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("%d of %d live flows were decided in %v", live(), flows, took)
	}
	close(stop)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

// TestLiveBatchesGoFirst: of batches that wait, those of captures get one turn in
// captureTurn until the live ones are handled.
func TestLiveBatchesGoFirst(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 1<<12, false)
	capture := &flow.Source{Sensor: "capture", SensorID: 1, Capture: true}
	for id := range uint64(QueueBatches) {
		for source, to := range map[*flow.Source]chan *flow.Batch{r.source: r.shard.in, capture: r.shard.captures} {
			b := flow.NewBatch(source, time.Now())
			e := b.Add()
			e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), 1, 1, packet.RawIP
			b.AddBytes(e, frame(1, 2, 1000, 53, 1))
			to <- b
		}
	}
	stop, over := make(chan struct{}), make(chan error, 1)
	go func() { over <- r.shard.Run(stop) }()
	decided := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.records)
	}
	for until := time.Now().Add(10 * time.Second); decided() < 2*QueueBatches && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	captures, live := 0, 0
	for _, rec := range r.records {
		if rec.Sensor == capture.Sensor {
			captures++
		} else if live++; live == QueueBatches {
			break
		}
	}
	if most := QueueBatches/(captureTurn-1) + 1; live != QueueBatches || captures > most {
		t.Errorf("%d batches of captures were handled before the last of %d live ones, want %d at most", captures, live, most)
	}
}

// TestTooManyForSlowStages: the flows that wait are bounded.
func TestTooManyForSlowStages(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 2*maxSlowQueue, false)
	r.slow = true
	for id := range uint64(maxSlowQueue + 5) {
		r.orig(id, 1, 100)
		r.end(id)
	}
	if n := len(r.records); n == 0 || r.shard.QueuedSlow() > maxSlowQueue {
		t.Errorf("%d flows wait, %d are decided", r.shard.QueuedSlow(), n)
	}
	if !r.sync(false) || len(r.records) != maxSlowQueue+5 {
		t.Errorf("%d flows are decided after the barrier", len(r.records))
	}
}

// TestTake: flows finish with the bundle they began with, one that wants more
// packets gets them, and a bundle is let go when its last flow is decided.
func TestTake(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 100, false)
	old := r.shard.bundles[0].served
	next := testBundle(t, false, false)
	next.Manifest.Version = "2.0.0"
	next.Packet.Stages[1].Packets = 5
	v := r.service(next)
	r.orig(1, 1, 100)
	p, err := r.shard.newBundle(v)
	if err != nil {
		t.Fatal(err)
	}
	r.orig(2, 1, 100)
	v.Metrics.Activate()
	r.shard.Serve(p)
	r.shard.install(<-r.shard.installs)
	<-p.Installed()
	r.orig(3, 1, 100)
	r.shard.tick()
	for _, id := range []uint64{1, 2, 3} {
		for index := uint64(2); index <= 5; index++ {
			r.orig(id, index, 100)
		}
		r.shard.tick()
		select {
		case <-old.Released():
			if id < 2 {
				t.Errorf("the old bundle was let go after flow %d", id)
			}
		default:
			if id >= 2 {
				t.Errorf("the old bundle is held after flow %d", id)
			}
		}
	}
	var got []string
	for _, rec := range r.records {
		got = append(got, fmt.Sprint(rec.Flow, " ", rec.Model, " ", rec.Packets))
	}
	if want := []string{"1 test@1.0.0 3", "2 test@1.0.0 3", "3 test@2.0.0 5"}; !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}

func TestACaptureIsNotShed(t *testing.T) {
	r := newRig(t, testBundle(t, true, false), 1000, true)
	for id := range uint64(500) {
		r.orig(id, 1, 100)
		r.end(id)
	}
	if !r.sync(false) || len(r.records) != 500 {
		t.Fatalf("%d of 500 flows decided", len(r.records))
	}
	for _, rec := range r.records {
		if rec.Reason != "flow_end" {
			t.Fatalf("flow %v: %s", rec.Flow, rec.Reason)
		}
	}
}

func TestModelFailureDecidesUnknown(t *testing.T) {
	b := testBundle(t, false, false)
	r := newRig(t, b, 100, true)
	b.Packet.Stages[0].Model.(*modeltest.Model).Answer = func(_, _ []float32) error { return errors.New("no luck") }
	r.orig(1, 1, 1)
	r.orig(1, 2, 1)
	r.orig(1, 3, 2)
	r.want("1 c slow 3 last_stage 2")
	if len(r.errs) != 1 {
		t.Errorf("errors: %v", r.errs)
	}
}

// TestDirectionIsTheFirstPacketsWord gives packets whose direction the tap gets
// wrong or changes its mind about.
func TestDirectionIsTheFirstPacketsWord(t *testing.T) {
	forth, back := frame(1, 2, 1000, 53, 0), frame(2, 1, 53, 1000, 0)
	local, localBack := frame(1, 1, 1000, 53, 0), frame(1, 1, 53, 1000, 0)
	same := frame(1, 1, 53, 53, 0)
	synAck, ack := tcp(2, 1, 80, 1000, 0x12), tcp(1, 2, 1000, 80, 0x10)
	o, d, u := packet.Originator, packet.Responder, packet.Unknown
	tests := []struct {
		name   string
		given  []packet.Dir
		frames [][]byte
		want   []packet.Dir
	}{
		{"as given", []packet.Dir{o, d, o}, [][]byte{forth, back, forth}, []packet.Dir{o, d, o}},
		{"flipped on the way", []packet.Dir{o, d, d, o}, [][]byte{forth, back, forth, back}, []packet.Dir{o, d, o, d}},
		{"the responder was first", []packet.Dir{d, o}, [][]byte{forth, back}, []packet.Dir{d, o}},
		{"unknown", []packet.Dir{u, u, u}, [][]byte{forth, back, forth}, []packet.Dir{o, d, o}},
		{"unknown, the SYN was missed", []packet.Dir{u, u}, [][]byte{synAck, ack}, []packet.Dir{d, o}},
		{"given, the SYN was missed", []packet.Dir{o, d}, [][]byte{synAck, ack}, []packet.Dir{o, d}},
		{"one address", []packet.Dir{u, u}, [][]byte{local, localBack}, []packet.Dir{o, d}},
		{"one address and one port", []packet.Dir{o, d}, [][]byte{same, same}, []packet.Dir{o, d}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := testBundle(t, false, false)
			b.Packet.Stages[0].Thresholds = []float32{2, 2, 2}
			b.Packet.Stages[1].Packets = len(test.given) + 1
			r := newRig(t, b, 10, true)
			for i, given := range test.given {
				r.send(1, uint64(i+1), given, test.frames[i])
			}
			var got []packet.Dir
			for _, p := range r.shard.table.Packets(r.shard.table.Find(flow.Key{ID: wire.UintID(1)})) {
				got = append(got, p.Dir)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("directions %v, want %v", got, test.want)
			}
		})
	}
}

func TestLiveFlowsGrowQuietWithoutPackets(t *testing.T) {
	b := testBundle(t, false, false)
	r := newRig(t, b, 10, false)
	r.shard.idleTimeout = (20 * time.Millisecond).Microseconds()
	done := make(chan error)
	stop := make(chan struct{})
	go func() { done <- r.shard.Run(stop) }()
	in := flow.NewBatch(r.source, time.Now())
	e := in.Add()
	e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(1), 1, 1, packet.RawIP
	in.AddBytes(e, frame(1, 2, 1000, 53, 100))
	r.shard.in <- in
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		n := len(r.records)
		r.mu.Unlock()
		if n > 0 || time.Now().After(deadline) {
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(r.records) != 1 || r.records[0].Reason != "timeout" || r.records[0].LatencyUS < 20000 {
		t.Errorf("decided %+v, want one timeout after 20 ms", r.records)
	}
}

// TestLatencyOfALiveFlowThatEnds: the end is the newest that is known of a flow.
func TestLatencyOfALiveFlowThatEnds(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 10, false)
	r.orig(1, 1, 100)
	r.time += 30e6 // which a live flow does not grow quiet by
	r.end(1)
	if len(r.records) != 1 || r.records[0].Reason != "flow_end" || r.records[0].LatencyUS < 30e6 {
		t.Errorf("%+v", r.records)
	}
}

func TestDrainDecidesWhatIsOpen(t *testing.T) {
	r := newRig(t, testBundle(t, true, false), 10, false)
	r.orig(1, 1, 100)
	r.shard.drain()
	r.want(fmt.Sprintf("1 a fast 1 evicted %d", r.records[0].LatencyUS/1000))
}

// BenchmarkPacket is a packet's whole way through a shard: three packets a
// flow, decided by the last stage.
func BenchmarkPacket(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmarkPacket(b, testBundle(b, false, false)) })
	b.Run("drift", func(b *testing.B) { benchmarkPacket(b, measured(b)) })
}

func benchmarkPacket(b *testing.B, served *bundle.Bundle) {
	r := newRig(b, served, 1<<16, true)
	r.source.Reply = nil
	raw := frame(1, 2, 1000, 53, 100)
	b.ReportAllocs()
	id, index := uint64(0), uint64(0)
	for i := 0; b.Loop(); i++ {
		if i%3 == 0 {
			id, index = id+1, 0
		}
		index++
		r.time++
		batch := flow.NewBatch(r.source, r.shard.start)
		e := batch.Add()
		e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), r.time, index, packet.RawIP
		batch.AddBytes(e, raw)
		r.shard.handleBatch(batch)
		r.shard.records = r.shard.records[:0]
	}
}
