package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"serveflow/test/kafka/broker"
	"serveflow/test/steady"
)

// run is a sidecar that streams and, beside it, one that does not, each with a tap of the
// same rate: whatever else keeps the machine busy, the broker too, concerns both alike.
type run struct {
	t             *testing.T
	broker        *broker.Broker
	topic         string
	with, without *steady.Sidecar
	taps          [2]*steady.Tap // of with and without
	p99           [2]time.Duration
}

// begin starts a sidecar that streams to a topic, and the one beside it.
func begin(t *testing.T, b *broker.Broker, s *steady.Sidecar, topic string) *run {
	t.Helper()
	r := &run{t: t, broker: b, topic: topic, with: s.Start(), without: steady.New(t, serveflow, root+"/test/bundle/toy", "").Start()}
	r.taps = [2]*steady.Tap{r.with.Run("one", rate), r.without.Run("one", rate)}
	return r
}

// forget leaves out the labels of the first stage that came so far.
func (r *run) forget() {
	for _, tap := range r.taps {
		tap.Quantiles(true)
	}
}

// during waits, and notes how late the first stage's labels were meanwhile, or since the
// call of forget that came just before.
func (r *run) during(d time.Duration) {
	time.Sleep(d)
	for i, tap := range r.taps {
		r.p99[i] = tap.Quantiles(true)[1]
	}
}

// settle ends the taps, waits until all is sent, compares, and puts a row into the table.
func (r *run) settle(fault string) result {
	r.t.Helper()
	for _, tap := range r.taps {
		tap.End()
	}
	took := r.with.Drained()
	dropped, spilled := r.with.Metric("kafka_drops_total"), r.with.Metric("kafka_spilled_total")
	r.with.Stop()
	r.without.Stop()
	got := compare(r.t, r.broker.Records(r.topic), r.with.Decided())
	got.dropped, got.spilled, got.caughtUp = int(dropped), spilled, took
	times := float64(r.p99[0]) / float64(r.p99[1])
	r.t.Logf("%v; p99 of the first stage %v, without a stream %v: %.2f times", got, r.p99[0], r.p99[1], times)
	lost := fmt.Sprint(got.lost)
	if got.dropped > 0 {
		lost += fmt.Sprintf(", %d counted", got.dropped)
	}
	table = append(table, fmt.Sprintf("| %s | %d | %s | %d | %d | %.0f | %.1f s | %.1f, %.1f ms | %.2f |", fault, got.decided, lost, got.repeated, got.disordered, got.spilled,
		got.caughtUp.Seconds(), ms(r.p99[0]), ms(r.p99[1]), times))
	// What a busy machine does to one of the two is no fault of the stream.
	if r.p99[0] > 3*r.p99[1]+20*time.Millisecond {
		r.t.Error("the stream makes the first stage's labels late")
	}
	return got
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// table is what stands in docs/measurements/kafka.md, a row for each fault.
var table []string

const tableHead = `
| fault | decided | lost | repeated | out of order within a key | read back from files | caught up after the tap's end | p99 of the fast stage, with and without a stream | times |
|---|---|---|---|---|---|---|---|---|
`

// notes are what else the tests found.
var notes []string

// note logs a finding, and puts it below the table.
func note(t *testing.T, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Log(text)
	notes = append(notes, "- "+text)
}

func printTable() {
	if len(table) > 0 {
		fmt.Println(tableHead[1:] + strings.Join(table, "\n"))
	}
	if len(notes) > 0 {
		fmt.Println("\n" + strings.Join(notes, "\n"))
	}
}
