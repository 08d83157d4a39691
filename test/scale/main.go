// Command scale simulates the queue of a remote stage: flows that come at random, batches
// of those that wait, servers that take a time for each request and for each row of it,
// and a deadline. It answers how many servers a load needs; docs/scale.md uses it.
//
//	go run ./test/scale -rate 2000 -servers 2 -request 2ms -row 50us
//
// With -trace it simulates what was measured in a file that "make remote-e2e" writes: the
// same arrivals, and at each moment a server as fast as it was then.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// setup is what is simulated. The sidecar has two requests under way at each server, as
// model/remote has, and a server works on one at a time.
type setup struct {
	rate         float64       // rows a second, at random (Poisson)
	servers      int           // that are asked
	batch        int           // rows in a request at most
	queue        int           // rows that may wait
	request, row time.Duration // service time of a request, and of each of its rows
	deadline     time.Duration // of a row
	rows         int           // that are simulated

	// As measured, in place of what stands above; nil: at random, and always the same.
	arrivals []float64                             // s
	service  func(began float64, rows int) float64 // s, of a request
}

// requestsEach is how many requests are under way at a server at a time.
const requestsEach = 2

// outcome is what became of the rows.
type outcome struct {
	answered, late, shed int
	batches, asked       int     // requests, and their rows
	busy                 float64 // share of the time that servers worked
	waits                []time.Duration
}

func (o *outcome) at(share float64) time.Duration {
	if len(o.waits) == 0 {
		return 0
	}
	return o.waits[int(share*float64(len(o.waits)-1))].Round(10 * time.Microsecond)
}

// simulate runs a setup. Times are seconds from its start.
func simulate(s setup, random *rand.Rand) outcome {
	var o outcome
	free := make([]float64, s.servers*requestsEach) // when each worker of the sidecar is free
	server := make([]float64, s.servers)            // when each server has done what it was given
	var waiting []float64                           // arrivals that no worker has taken
	worked, last := 0.0, 0.0
	deadline := s.deadline.Seconds()

	// take has the workers take what waits, up to a time.
	take := func(until float64) {
		for len(waiting) > 0 {
			w := 0
			for i := range free {
				if free[i] < free[w] {
					w = i
				}
			}
			now := max(free[w], waiting[0])
			if now > until {
				return
			}
			n := 0
			for n < len(waiting) && n < s.batch && waiting[n] <= now {
				n++
			}
			batch := waiting[:n]
			waiting = waiting[n:]
			kept := batch[:0:0]
			for _, arrived := range batch {
				if now-arrived > deadline {
					o.late++
				} else {
					kept = append(kept, arrived)
				}
			}
			if len(kept) == 0 {
				free[w] = now
				continue
			}
			k := w / requestsEach
			began := max(now, server[k])
			service := s.request.Seconds() + float64(len(kept))*s.row.Seconds()
			if s.service != nil {
				service = s.service(began, len(kept))
			}
			done := began + service
			server[k] = done
			worked += service
			o.batches++
			o.asked += len(kept)
			if done > kept[0]+deadline { // the first row's time is over: all go without
				o.late += len(kept)
				free[w] = kept[0] + deadline
				continue
			}
			for _, arrived := range kept {
				o.answered++
				o.waits = append(o.waits, time.Duration((done-arrived)*1e9))
			}
			free[w] = done
		}
	}
	for i := range s.rows {
		if s.arrivals != nil {
			last = s.arrivals[i]
		} else {
			last += random.ExpFloat64() / s.rate
		}
		take(last)
		if len(waiting) >= s.queue {
			o.shed++
			continue
		}
		waiting = append(waiting, last)
	}
	take(last + 1e9)
	slices.Sort(o.waits)
	o.busy = worked / (last * float64(s.servers))
	return o
}

func main() {
	s := setup{}
	flag.Float64Var(&s.rate, "rate", 1000, "rows a second that the fast stages are not sure of")
	flag.IntVar(&s.batch, "batch", 32, "rows in a request at most (onnx.batch)")
	flag.IntVar(&s.queue, "queue", 4096, "rows that may wait (onnx.queue)")
	flag.IntVar(&s.rows, "rows", 200_000, "rows that are simulated")
	servers := flag.Int("servers", 4, "simulate 1 to so many servers")
	flag.DurationVar(&s.request, "request", 2*time.Millisecond, "service time of a request")
	flag.DurationVar(&s.row, "row", 50*time.Microsecond, "service time of each row")
	flag.DurationVar(&s.deadline, "deadline", 50*time.Millisecond, "flow.deadline")
	trace := flag.String("trace", "", "simulate what this file says was measured, and compare")
	flag.Parse()
	if *trace != "" {
		if err := compare(*trace); err != nil {
			fmt.Fprintln(os.Stderr, "scale:", err)
			os.Exit(1)
		}
		return
	}
	if !(s.rate > 0) || s.batch < 1 || s.queue < 1 || s.rows < 1 || *servers < 1 || s.request < 0 || s.row < 0 {
		fmt.Fprintln(os.Stderr, "scale: every number has to be more than 0")
		os.Exit(64)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "servers\tanswered\tlate\tshed\trows a batch\tbusy\tp50\tp99")
	for s.servers = 1; s.servers <= *servers; s.servers++ {
		o := simulate(s, rand.New(rand.NewPCG(1, 2)))
		share := func(n int) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(s.rows)) }
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%.1f\t%.0f %%\t%v\t%v\n", s.servers, share(o.answered), share(o.late), share(o.shed),
			float64(o.asked)/float64(max(o.batches, 1)), 100*o.busy, o.at(.5), o.at(.99))
	}
	t.Flush()
}
