package shard

import (
	"encoding/binary"
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
