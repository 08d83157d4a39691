package shard

import (
	"runtime"
	"time"
)

// turnTime is for how long a shard keeps its processor while batches are queued. The
// goroutine that sends its labels may have no other, and Go would have it wait for 10 ms.
const turnTime = 500 * time.Microsecond

// yield lets other goroutines run if the shard's turn is over.
func (s *Shard) yield() {
	if s.Depth() == 0 {
		s.turn = time.Time{} // it waits, and others run
		return
	}
	switch now := time.Now(); {
	case s.turn.IsZero():
		s.turn = now
	case now.Sub(s.turn) >= turnTime:
		runtime.Gosched()
		s.turn = time.Now()
	}
}
