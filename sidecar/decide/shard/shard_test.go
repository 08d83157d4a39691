package shard

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/tap/wire"
)

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

// TestEndedFlowsGo: a decided flow that has ended makes room after a second, and its
// packets that are late open no other; one that has not ended stays.
func TestEndedFlowsGo(t *testing.T) {
	for _, decidedFirst := range []bool{false, true} {
		r := newRig(t, testBundle(t, false, false), 10, true)
		size := map[bool]int{false: 100, true: 1}[decidedFirst] // of the first packet
		r.orig(1, 1, size)
		r.orig(2, 1, 1)
		r.end(1)
		if r.clock(0); r.shard.table.Len() != 2 {
			t.Errorf("decided first %v: %d flows just after the end, want 2", decidedFirst, r.shard.table.Len())
		}
		if r.clock(1); r.shard.table.Len() != 1 {
			t.Errorf("decided first %v: %d flows a second later, want 1", decidedFirst, r.shard.table.Len())
		}
		r.orig(1, 2, 1)
		if len(r.records) != 2 || r.shard.table.Len() != 1 {
			t.Errorf("decided first %v: a late packet: %d decisions, %d flows", decidedFirst, len(r.records), r.shard.table.Len())
		}
		if r.orig(1, 1, 1); len(r.records) != 3 {
			t.Errorf("decided first %v: the id used again: %d decisions, want 3", decidedFirst, len(r.records))
		}
	}
}

// TestEndOfACaptureEmptiesTheTable: with its last SYNC all flows of a source have ended.
func TestEndOfACaptureEmptiesTheTable(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 10, true)
	r.orig(1, 1, 1)
	r.orig(2, 1, 100)
	r.sync(true)
	if r.clock(2); len(r.records) != 2 || r.shard.table.Len() != 0 {
		t.Errorf("%d decisions, %d flows", len(r.records), r.shard.table.Len())
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
	r.eachPacket(b, func() { r.shard.records = r.shard.records[:0] })
}

// eachPacket sends packets, three of a flow, each in a batch of its own; after is called
// after each.
func (r *rig) eachPacket(b *testing.B, after func()) {
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
		after()
	}
}
