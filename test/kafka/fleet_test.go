package kafka

import (
	"fmt"
	"testing"
	"time"

	"serveflow/test/kafka/broker"
	"serveflow/test/steady"
)

// Three sidecars, each with a sensor of its own, stream to one topic while the broker and
// each of them are killed: whatever one has decided is in the topic, under its own name,
// and in order.
func TestFleet(t *testing.T) {
	b := broker.Start(t)
	b.Topic("labels")
	const each = 400
	var sidecars []*steady.Sidecar
	var taps []*steady.Tap
	for i := range 3 {
		s := steady.New(t, serveflow, root+"/test/bundle/toy", fmt.Sprintf("[kafka]\nqueue = \"{queue}\"\nbrokers = [%q]\ntopic = \"labels\"\nhost = \"host-%d\"", b.Address(), i)).Start()
		sidecars, taps = append(sidecars, s), append(taps, s.Run(fmt.Sprintf("sensor-%d", i), each))
	}
	time.Sleep(3 * time.Second)
	sidecars[0].Kill()
	b.Kill()
	time.Sleep(2 * time.Second)
	sidecars[0].Start()
	sidecars[1].Kill()
	sidecars[1].Start()
	b.Start()
	b.Await()
	time.Sleep(2 * time.Second)
	sidecars[2].Kill()
	sidecars[2].Start()
	time.Sleep(3 * time.Second)
	for i, s := range sidecars {
		taps[i].End()
		s.Drained()
		s.Stop()
	}
	records := b.Records("labels")
	total := 0
	for i, s := range sidecars {
		name := fmt.Sprintf("host-%d", i)
		own := records[:0:0]
		for _, r := range records {
			if v := read(t, r); v.Host == name {
				if v.Sensor != fmt.Sprintf("sensor-%d", i) {
					t.Fatalf("sensor %s of %s", v.Sensor, v.Host)
				}
				own = append(own, r)
			}
		}
		total += len(own)
		got := compare(t, own, s.Decided())
		note(t, "%s of three: %v", name, got)
		if got.decided < 5*each || got.lost != 0 || got.disordered != 0 {
			t.Errorf("%s: want all flows, in order", name)
		}
	}
	if total != len(records) {
		t.Errorf("%d of %d records are of nobody", len(records)-total, len(records))
	}
}
