package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// One server, one row a request, any deadline: the queue M/D/1, whose mean time in the
// system is service x (1 + load / (2 - 2 load)).
func TestAgainstTheory(t *testing.T) {
	for _, load := range []float64{.2, .5, .8} {
		const service = time.Millisecond
		o := simulate(setup{rate: load * 1000, servers: 1, batch: 1, queue: 1 << 30, request: service, deadline: time.Hour, rows: 400_000}, rand.New(rand.NewPCG(3, 4)))
		sum := 0.0
		for _, w := range o.waits {
			sum += w.Seconds()
		}
		mean, want := sum/float64(len(o.waits)), service.Seconds()*(1+load/(2-2*load))
		if math.Abs(mean-want) > .03*want || math.Abs(o.busy-load) > .01 {
			t.Errorf("load %v: mean %v s, want %v s; busy %v", load, mean, want, o.busy)
		}
	}
}

// Every row is answered, late or shed; too much work is late, and more servers help.
func TestOverload(t *testing.T) {
	s := setup{rate: 4000, servers: 1, batch: 32, queue: 1000, request: 10 * time.Millisecond, row: 100 * time.Microsecond, deadline: 50 * time.Millisecond, rows: 50_000}
	one := simulate(s, rand.New(rand.NewPCG(5, 6)))
	if n := one.answered + one.late + one.shed; n != s.rows {
		t.Errorf("%d rows of %d", n, s.rows)
	}
	if one.answered > s.rows*9/10 {
		t.Errorf("%d answered though it is too much", one.answered)
	}
	s.servers = 8
	if eight := simulate(s, rand.New(rand.NewPCG(5, 6))); eight.answered < s.rows*999/1000 {
		t.Errorf("%d answered by eight", eight.answered)
	}
	for _, w := range one.waits {
		if w > s.deadline+time.Microsecond {
			t.Fatalf("answered after %v", w)
		}
	}
}
