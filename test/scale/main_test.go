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

// A run that the simulation made itself, with a server that is ten times slower for a
// while, is what the simulation makes of its trace.
func TestReplay(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	tr := Trace{Servers: 1, Batch: 8, Queue: 1000, Deadline: time.Minute}
	for at := 0.0; at < 20; at += random.ExpFloat64() / 100 {
		tr.Arrivals = append(tr.Arrivals, at)
	}
	truth := simulate(setup{servers: 1, batch: 8, queue: 1000, deadline: time.Minute, rows: len(tr.Arrivals), arrivals: tr.Arrivals,
		service: func(began float64, rows int) float64 {
			took := .002 + .0005*float64(rows)
			if began > 5 && began < 10 {
				took *= 10
			}
			tr.Requests = append(tr.Requests, Request{Sent: began, Done: began + took, Rows: rows})
			return took
		}}, random)
	tr.Waits = truth.waits
	measured, simulated, err := tr.replay()
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range []float64{.1, .5, .9, .99} {
		if m, s := measured.at(share), simulated.at(share); math.Abs(float64(m-s)) > .05*float64(m) {
			t.Errorf("quantile %v: %v, simulated %v", share, m, s)
		}
	}
	if measured.at(.99) < 2*measured.at(.5) {
		t.Error("the server was never slow")
	}
	for name, bad := range map[string]Trace{"nothing": {}, "two servers": {Servers: 2, Batch: 1, Queue: 1, Arrivals: tr.Arrivals, Requests: tr.Requests}} {
		if _, _, err := bad.replay(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
