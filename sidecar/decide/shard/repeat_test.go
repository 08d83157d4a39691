package shard

import (
	"testing"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// TestRepeatedPackets: a flow that gets no new packets ends by its timers, whatever
// is repeated, over how many connections it comes, and whether it can be read.
func TestRepeatedPackets(t *testing.T) {
	unreadable := []byte{0xff, 0xff}
	for name, test := range map[string]struct {
		reason string
		send   func(r *rig, turn int)
	}{
		"one packet": {"timeout", func(r *rig, _ int) { r.orig(1, 1, 100) }},
		"two packets in turn": {"timeout", func(r *rig, turn int) {
			r.orig(1, uint64(1+turn%2), 100)
		}},
		"over connections in turn": {"timeout", func(r *rig, turn int) {
			r.reconnect()
			r.orig(1, 1, 100)
		}},
		"one that cannot be read": {"unparsed", func(r *rig, _ int) {
			r.send(1, 1, packet.Originator, unreadable)
		}},
		"one that cannot be read after one that can": {"timeout", func(r *rig, turn int) {
			if turn == 0 {
				r.orig(1, 1, 100)
			}
			r.send(1, 2, packet.Originator, unreadable)
		}},
		"without headers after one with": {"timeout", func(r *rig, turn int) {
			if turn == 0 {
				r.orig(1, 1, 100)
			}
			r.meta(1, 2, 100)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testBundle(t, false, true), 10, false)
			r.shard.idleTimeout = (50 * time.Millisecond).Microseconds()
			turn := 0
			for until := time.Now().Add(3 * time.Second); len(r.records) == 0 && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				test.send(r, turn)
				turn++
				r.shard.tick()
				for r.shard.slow.len > 0 {
					r.shard.runSlow()
				}
				r.shard.flush()
			}
			if len(r.records) != 1 || r.records[0].Reason != test.reason {
				t.Errorf("decided %+v", r.records)
			}
		})
	}
}

// TestCaptureThatStandsStill: the flow of a capture whose tap is silent, or repeats
// itself with a clock that hardly moves, ends by the wall's time, and with it the last
// use of the bundle that it began with.
func TestCaptureThatStandsStill(t *testing.T) {
	for name, send := range map[string]func(r *rig){
		"silent":              func(*rig) {},
		"repeats its packet":  func(r *rig) { r.orig(1, 1, 100) },
		"repeats its time":    func(r *rig) { r.clock(0) },
		"its clock goes back": func(r *rig) { r.time = 0; r.clock(0) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, testBundle(t, false, false), 10, true)
			r.time = 1_700_000_000_000_000
			r.orig(1, 1, 100)
			for range 25 {
				r.shard.start = r.shard.start.Add(-time.Second) // a second goes by
				r.shard.tick()
				send(r)
			}
			r.shard.flush()
			if len(r.records) != 0 {
				t.Fatalf("decided too soon: %+v", r.records)
			}
			for range 35 {
				r.shard.start = r.shard.start.Add(-time.Second)
				r.shard.tick()
				send(r)
			}
			r.shard.flush()
			if len(r.records) != 1 || r.records[0].Reason != "timeout" || r.shard.bundles[r.shard.newestBundle].undecided != 0 {
				t.Errorf("decided %+v; %d flows use the bundle", r.records, r.shard.bundles[r.shard.newestBundle].undecided)
			}
		})
	}
}

// TestCaptureThatMoves: a slow capture's flows live by its own time alone.
func TestCaptureThatMoves(t *testing.T) {
	r := newRig(t, testBundle(t, false, false), 10, true)
	r.orig(1, 1, 100)
	for range 20 {
		r.shard.start = r.shard.start.Add(-20 * time.Second)
		r.shard.tick()
		r.clock(1)
		r.orig(2, 1, 10)
		if r.time > 9_000_000 {
			break
		}
	}
	r.shard.tick()
	for _, rec := range r.records {
		if rec.Reason == "timeout" {
			t.Errorf("decided %+v", rec)
		}
	}
}

// TestHealthOfWaitingFlows: what live flows wait for shows, and passes again; what
// captures wait for does not.
func TestHealthOfWaitingFlows(t *testing.T) {
	for _, capture := range []bool{false, true} {
		r := newRig(t, testBundle(t, false, false), 10, capture)
		r.shard.slow.admission.deadline = 50 * time.Millisecond
		p := &Pool{shards: []*Shard{r.shard}, options: PoolOptions{Shard: Options{Deadline: 50 * time.Millisecond}}}
		r.shard.tick()
		b := flow.NewBatch(r.source, time.Now().Add(-14*time.Second))
		e := b.Add()
		e.ID, e.Time, e.OrigPkts, e.Link = wire.UintID(1), 1, 1, packet.RawIP
		b.AddBytes(e, frame(1, 2, 1000, 53, 10))
		r.shard.handleBatch(b)
		if len(r.shard.records) != 1 {
			t.Fatal("the flow is not decided")
		}
		overdue := 0.
		families, err := r.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "serveflow_overdue_flows_total" {
				overdue = f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		if sick := p.Health() != nil; sick == capture || p.Alive() != nil || (overdue == 1) == capture {
			t.Errorf("capture %v: %v, alive: %v, %v overdue", capture, p.Health(), p.Alive(), overdue)
		}
		r.shard.waits.turn(time.Now().Add(waitPeriod))
		r.shard.waits.turn(time.Now().Add(2 * waitPeriod))
		if err := p.Health(); err != nil {
			t.Errorf("it does not pass: %v", err)
		}
	}
}
