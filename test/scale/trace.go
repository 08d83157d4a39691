package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

// Trace is a run of a remote stage as it was measured. Times are seconds from its start.
type Trace struct {
	Rate     float64       // rows a second that were offered
	Servers  int           // that were asked
	Batch    int           // rows in a request at most
	Queue    int           // rows that may wait
	Deadline time.Duration // of a row
	Arrivals []float64     // of rows
	Requests []Request
	Waits    []time.Duration // of the rows that were answered
}

// Request is one to a server, which the sidecar had sent and got the answer of.
type Request struct {
	Sent, Done float64
	Rows       int
}

// compare simulates each trace of a file, and fails where the waits are not about those that
// were measured.
func compare(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var traces []Trace
	if err := json.Unmarshal(data, &traces); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "| rows a second\t| \t| answered\t| rows a request\t| p50\t| p90\t| p99\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	var apart []string // by more than a third and a millisecond
	for i := range traces {
		measured, simulated, err := traces[i].replay()
		if err != nil {
			return fmt.Errorf("%s: trace %d: %w", path, i, err)
		}
		for k, o := range []outcome{measured, simulated} {
			fmt.Fprintf(t, "| %.0f\t| %s\t| %.1f %%\t| %.1f\t| %v\t| %v\t| %v\t|\n", traces[i].Rate, [2]string{"measured", "simulated"}[k],
				100*float64(o.answered)/float64(len(traces[i].Arrivals)), float64(o.asked)/float64(max(o.batches, 1)), o.at(.5), o.at(.9), o.at(.99))
		}
		for _, share := range []float64{.5, .9, .99} {
			if m, s := measured.at(share), simulated.at(share); m > s+s/3+time.Millisecond || s > m+m/3+time.Millisecond {
				apart = append(apart, fmt.Sprintf("%.0f rows a second: quantile %v is %v, simulated %v", traces[i].Rate, share, m, s))
			}
		}
	}
	if len(apart) > 0 {
		return errors.New(strings.Join(apart, "\n"))
	}
	return nil
}

// replay is what was measured, and what the simulation makes of the same arrivals and of a
// server that is, at each moment, as much faster or slower than usual as it was then.
func (tr *Trace) replay() (measured, simulated outcome, err error) {
	if len(tr.Arrivals) == 0 || len(tr.Requests) < 2 || tr.Servers != 1 || tr.Batch < 1 || tr.Queue < 1 {
		return measured, simulated, errors.New("want arrivals at one server, and its requests")
	}
	slices.Sort(tr.Waits)
	measured = outcome{answered: len(tr.Waits), waits: tr.Waits, batches: len(tr.Requests)}
	for _, r := range tr.Requests {
		measured.asked += r.Rows
	}
	simulated = simulate(setup{
		servers: tr.Servers, batch: tr.Batch, queue: tr.Queue, deadline: tr.Deadline,
		rows: len(tr.Arrivals), arrivals: tr.Arrivals, service: tr.service(),
	}, rand.New(rand.NewPCG(1, 2)))
	return measured, simulated, nil
}

// service is what a request took by when it was begun and by its rows. The server does
// one request at a time, in order: it begins one when it comes, or has done that before.
func (tr *Trace) service() func(began float64, rows int) float64 {
	slices.SortFunc(tr.Requests, func(a, b Request) int { return cmp.Compare(a.Sent, b.Sent) })
	var begun, took, rows []float64
	free := 0.0
	for _, r := range tr.Requests {
		at := max(r.Sent, free)
		free = max(free, r.Done)
		begun, took, rows = append(begun, at), append(took, max(r.Done-at, 1e-6)), append(rows, float64(r.Rows))
	}
	request, row := line(rows, took)
	usual := func(n float64) float64 { return max(request+row*n, 1e-6) }
	return func(at float64, n int) float64 {
		i := sort.SearchFloat64s(begun, at)
		if i == len(begun) || i > 0 && at-begun[i-1] < begun[i]-at {
			i--
		}
		return usual(float64(n)) * took[i] / usual(rows[i])
	}
}

// line is the straight line with the least squares through points, not falling.
func line(x, y []float64) (at0, slope float64) {
	n, sx, sy, sxx, sxy := float64(len(x)), 0.0, 0.0, 0.0, 0.0
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	if d := n*sxx - sx*sx; d > 0 {
		slope = max((n*sxy-sx*sy)/d, 0)
	}
	return (sy - slope*sx) / n, slope
}
