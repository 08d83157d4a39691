package shard

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/tap/wire"
)

// gatherRows has the models of a bundle asked about up to n rows at once.
func gatherRows(b *bundle.Bundle, n int) {
	for i := range b.Packet.Stages {
		b.Packet.Stages[i].Model.(*modeltest.Model).AtOnce = n
	}
}

// atOnce is the largest number of rows that a stage was asked about at once.
func atOnce(b *bundle.Bundle, stage int) int {
	return slices.Max(append(b.Packet.Stages[stage].Model.(*modeltest.Model).Batches(), 0))
}

// traffic is batches of events of flows of all kinds: some end, pause, lose packets or
// repeat them.
func traffic(seed uint64) (batches [][]flow.Event) {
	r := rand.New(rand.NewPCG(seed, 1))
	now, sent := int64(1e9), map[uint64]uint64{}
	for i := range 40 {
		var batch []flow.Event
		for range 1 + r.IntN(60) {
			now += []int64{100, 1000, 300_000, 2e6, 11e6}[min(r.IntN(3)*r.IntN(3)*r.IntN(3), 4)]
			e := flow.Event{ID: wire.UintID(uint64(5*i + r.IntN(40))), Time: now, Link: packet.RawIP, Dir: packet.Originator}
			n := sent[e.ID.Uint()]
			switch k := r.IntN(20); {
			case k == 0 && n > 0:
				e.Kind, n = flow.End, 0
			case k == 1:
				e.Kind = flow.ClockUpdate
			default:
				n += []uint64{0, 1, 1, 1, 1, 1, 1, 2}[r.IntN(8)]
				e.OrigPkts = max(n, 1)
			}
			sent[e.ID.Uint()] = n
			batch = append(batch, e)
		}
		batches = append(batches, batch)
	}
	return batches
}

// decided is every flow's decision, in order.
func decided(t *testing.T, b *bundle.Bundle, batches [][]flow.Event, seed uint64) map[string][]string {
	t.Helper()
	r := newRig(t, b, 1<<16, true)
	payloads := rand.New(rand.NewPCG(seed, 2))
	for i, events := range batches {
		more := make(chan *flow.Batch, 1) // so that the shard waits for more
		if i%3 > 0 {
			more <- nil
		}
		r.shard.captures = more
		r.batch(func(b *flow.Batch) {
			for _, e := range events {
				*b.Add() = e
				if e.Kind == flow.Frame {
					b.AddBytes(&b.Events[len(b.Events)-1], frame(1, 2, 1000, 53, payloads.IntN(300)))
				}
			}
		})
	}
	if !r.sync(true) {
		t.Fatal("the barrier was not passed")
	}
	all := map[string][]string{}
	for _, rec := range r.records {
		all[rec.Flow.String()] = append(all[rec.Flow.String()],
			fmt.Sprint(rec.Start, rec.Label, rec.Score, rec.Stage, rec.Packets, rec.Reason, rec.LatencyUS))
	}
	if len(r.records) < 50 {
		t.Fatalf("only %d decisions", len(r.records))
	}
	return all
}

// TestGatheredLikeOneByOne: flows get the same labels whether their rows are scored one
// by one or together.
func TestGatheredLikeOneByOne(t *testing.T) {
	for seed := range uint64(25) {
		sent := traffic(seed)
		want := decided(t, testBundle(t, false, false), sent, seed)
		b := testBundle(t, false, false)
		gatherRows(b, 8)
		if got := decided(t, b, sent, seed); !maps.EqualFunc(got, want, slices.Equal) {
			for id := range want {
				if !slices.Equal(got[id], want[id]) {
					t.Errorf("seed %d: flow %s: %q, one by one %q", seed, id, got[id], want[id])
				}
			}
		}
		if n := atOnce(b, 0); n < 3 || n > 8 {
			t.Errorf("seed %d: at most %d rows at once", seed, n)
		}
	}
}

// TestGatheredAreScoredWhenNothingComes: live flows wait for others only while events
// are queued, and slow stages are asked about several at once.
func TestGatheredAreScoredWhenNothingComes(t *testing.T) {
	b := testBundle(t, false, false)
	gatherRows(b, 8)
	r := newRig(t, b, 100, false)
	if r.orig(1, 1, 1); len(r.records) != 1 || r.records[0].Reason != "accepted" {
		t.Fatalf("decided %+v", r.records)
	}
	r.slow = true
	for id := range uint64(20) {
		r.orig(10+id, 1, 100)
		r.end(10 + id)
	}
	if len(r.records) != 1 {
		t.Fatalf("%d decisions", len(r.records))
	}
	r.shard.askOldestQueued()
	r.shard.flush()
	if len(r.records) != 9 || atOnce(b, 1) != 8 {
		t.Errorf("%d decisions, at most %d rows at once; want 9 and 8", len(r.records), atOnce(b, 1))
	}
}

// TestGatheredWaitForFewBatches: while events come without end, flows are scored all
// the same.
func TestGatheredWaitForFewBatches(t *testing.T) {
	b := testBundle(t, false, false)
	gatherRows(b, 8)
	r := newRig(t, b, 100, false)
	r.shard.in <- flow.NewBatch(r.source, time.Now())
	r.orig(1, 1, 1)
	for i := 1; len(r.records) == 0; i++ {
		if i == gatherBatches {
			t.Fatalf("still waiting after %d batches", i)
		}
		r.clock(0)
	}
	if r.records[0].Reason != "accepted" || r.shard.gathered.flows != 0 {
		t.Errorf("%+v, %d flows gathered", r.records[0], r.shard.gathered.flows)
	}
}

// TestGatheredFailure: a model that fails costs each of the flows its stage.
func TestGatheredFailure(t *testing.T) {
	b := testBundle(t, false, false)
	gatherRows(b, 8)
	r := newRig(t, b, 100, true)
	b.Packet.Stages[0].Model.(*modeltest.Model).Answer = func(_, _ []float32) error { return errors.New("no luck") }
	r.batch(func(b *flow.Batch) {
		for id := range uint64(3) {
			e := b.Add()
			e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(id), 1, 1, packet.RawIP
			b.AddBytes(e, frame(1, 2, 1000, 53, 1))
		}
	})
	if len(r.errs) != 3 || len(r.records) != 0 {
		t.Errorf("%d errors, %d decisions", len(r.errs), len(r.records))
	}
	if r.sync(true); len(r.records) != 3 {
		t.Errorf("%d decisions", len(r.records))
	}
}

// TestGatheredInAFullTable: a decided flow gives its place, and those that wait for each
// other go on doing so.
func TestGatheredInAFullTable(t *testing.T) {
	const flows = 8
	b := testBundle(t, false, false)
	gatherRows(b, flows)
	r := newRig(t, b, 2*flows, false)
	for round := range uint64(4) {
		r.batch(func(b *flow.Batch) {
			for id := range uint64(flows) {
				e := b.Add()
				e.ID, e.OrigPkts, e.Link = wire.UintID(flows*round+id), 1, packet.RawIP
				b.AddBytes(e, frame(1, 2, 1000, 53, 1))
			}
		})
	}
	if len(r.records) != 4*flows {
		t.Fatalf("%d decisions", len(r.records))
	}
	if got := b.Packet.Stages[0].Model.(*modeltest.Model).Batches(); len(got) != 5 { // one is asked when the shard is made
		t.Errorf("rows at once: %v", got)
	}
}
