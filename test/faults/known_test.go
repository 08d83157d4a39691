package faults

import (
	"fmt"
	"os"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// TestDecidedBeforeTheKill: a tap that never received a label goes on sending packets of
// flows that a killed sidecar had decided, and the next sidecar does not decide
// them again, be they in the label log or in one that was rotated.
func TestDecidedBeforeTheKill(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "[flow]\nshards = 1\n[labels]\nmax_size = \"4KiB\"\nkeep = 10")
	s := p.start()
	const flows = 50 // of about 250 bytes each
	c := p.hello(wire.Hello{Sensor: "office"})
	for id := range uint64(flows) {
		c.do(c.packet(id, 1, 53))
	}
	var logs []string
	await(t, func() error {
		logs = logs[:0]
		lines := 0
		for _, name := range []string{".3", ".2", ".1", ""} {
			if _, err := os.Stat(p.labels + name); err == nil {
				logs = append(logs, p.labels+name)
				lines += len(readLabels(t, p.labels+name, false))
			}
		}
		if lines < flows {
			return fmt.Errorf("%d of %d flows are in the label logs", lines, flows)
		}
		return nil
	})
	if len(logs) < 3 {
		t.Fatalf("the label log was rotated %d times only", len(logs)-1)
	}
	s.kill()

	s = p.start()
	c = p.hello(wire.Hello{Sensor: "office", Reply: true})
	other := p.hello(wire.Hello{Sensor: "attic", Reply: true})
	for id := range uint64(flows) {
		c.do(c.packet(id, 2, 53))
		c.do(c.packet(id, 3, 53))
	}
	if labels := c.sync(false); len(labels) > 0 {
		t.Errorf("%d flows were decided again: %+v", len(labels), labels[0])
	}
	if got := s.sample()[`drops_total{reason="late"}`]; got != 2*flows {
		t.Errorf("%v packets were late, want %d", got, 2*flows)
	}
	// The same ids of another sensor are other flows, and a first packet is a
	// new flow's.
	c.do(c.packet(7, 1, 53))
	other.do(other.packet(7, 2, 53))
	if labels := c.sync(false); len(labels) != 1 || labels[0].Label != "dns" {
		t.Errorf("an id that is used again: %+v", labels)
	}
	if labels := other.sync(false); len(labels) != 1 || labels[0].Reason != "partial" {
		t.Errorf("another sensor's: %+v", labels)
	}
	s.stop()
}
