package shard

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"serveflow/sidecar/decide/flow"
)

// TestYield sees that a shard which shares one processor with other goroutines, as those
// that send its labels, lets them run once its turn is over, and that its turn begins with
// the first batch that another follows.
func TestYield(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := newRig(t, testBundle(t, false, false), 10, true)
	r.shard.captures <- flow.NewBatch(r.source, time.Now())
	r.shard.yield()
	if r.shard.turn.IsZero() {
		t.Error("a batch is queued, and no turn has begun")
	}
	r.shard.turn = time.Now().Add(-turnTime)
	var others atomic.Bool
	go others.Store(true)
	r.shard.yield()
	if !others.Load() {
		t.Error("the turn was over, and no other goroutine ran")
	}
	<-r.shard.captures
	if r.shard.yield(); !r.shard.turn.IsZero() {
		t.Error("no batch is queued, and the turn goes on")
	}
}
