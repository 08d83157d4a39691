package shard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/tap/wire"
)

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
