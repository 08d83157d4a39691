package faults

import (
	"fmt"
	"strings"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// TestMetrics sends what is known and compares with what was counted.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	s := p.start()
	if got := s.get("/healthz"); got != "ok\n" {
		t.Errorf("/healthz says %q", got)
	}
	for name, value := range s.sample() {
		if up := strings.HasPrefix(name, "build_info{version=") || name == "last_reload_successful" ||
			strings.HasPrefix(name, `bundle_info{bundle="toy@1.0.0",digest=`); up != (value == 1) || !up && value != 0 {
			t.Errorf("before anything came, %s is %v", name, value)
		}
	}

	c := p.hello(wire.Hello{Sensor: "office", Reply: true})
	meta := p.hello(wire.Hello{Sensor: "attic", Meta: true})
	for id := uint64(1); id <= 10; id++ { // dns, at once
		c.do(c.packet(id, 1, 53))
	}
	for id := uint64(11); id <= 15; id++ { // web, at the third packet
		for index := uint64(1); index <= 4; index++ {
			c.do(c.packet(id, index, 80))
		}
	}
	c.do(c.packet(16, 1, 80)) // unknown, at its end
	c.do(c.packet(16, 1, 80)) // a duplicate
	c.do(c.End(wire.UintID(16), begin+9))
	c.do(c.packet(17, 3, 80)) // seen too late
	c.do(c.Packet(&wire.Message{Flow: wire.UintID(18), Time: begin, OrigPkts: 1, Raw: []byte{1, 2, 3}}))
	c.do(c.Stats(begin+10, 100, 7)) // a tap that dropped 7 events
	for id := uint64(1); id <= 3; id++ {
		meta.do(meta.Meta(&wire.Message{Flow: wire.UintID(id), Time: begin, OrigPkts: 1, Proto: 17, DstPort: 53, PayloadLen: 12}))
	}
	if _, err := meta.Write([]byte{0x92, 99, 1}); err != nil { // of a type that does not exist
		t.Fatal(err)
	}
	if labels := c.sync(true); len(labels) != 18 {
		t.Errorf("%d labels, want 18", len(labels))
	}
	meta.sync(false)
	lost := p.dial()
	lost.do(lost.Sync(1, true)) // before HELLO
	lost.rest()
	s.awaitMetric(`drops_total{reason="malformed"}`, 1)
	await(t, func() error {
		if peers := s.sample()["peers"]; peers != 2 {
			return fmt.Errorf("%v peers, want 2", peers)
		}
		return nil
	})
	p.awaitLabels(21)

	want := map[string]float64{
		`events_total{kind="hello"}`:   2,
		`events_total{kind="packet"}`:  34,
		`events_total{kind="meta"}`:    3,
		`events_total{kind="end"}`:     1,
		`events_total{kind="sync"}`:    2,
		`events_total{kind="stats"}`:   1,
		`events_total{kind="unknown"}`: 1,

		`flows_total`:                   21,
		`labels_total{label="dns"}`:     13,
		`labels_total{label="web"}`:     5,
		`labels_total{label="shell"}`:   0,
		`labels_total{label="unknown"}`: 3,

		`decisions_total{reason="accepted",stage="fast"}`:   13,
		`decisions_total{reason="last_stage",stage="slow"}`: 5,
		`decisions_total{reason="flow_end",stage="slow"}`:   1,
		`decisions_total{reason="partial",stage="none"}`:    1,
		`decisions_total{reason="unparsed",stage="none"}`:   1,

		`drops_total{reason="duplicate"}`:   1,
		`drops_total{reason="late"}`:        6, // that of the flow seen too late, too
		`drops_total{reason="unparsed"}`:    1,
		`drops_total{reason="malformed"}`:   1,
		`drops_total{reason="tap_dropped"}`: 7,

		`peers`:                            2,
		`serving_latency_seconds_count`:    21,
		`compute_latency_seconds_count`:    21,
		`queue_depth{queue="shards"}`:      0,
		`log_errors_total`:                 0,
		`log_bytes_repaired_total`:         0,
		`drops_total{reason="log_full"}`:   0,
		`drops_total{reason="reply_full"}`: 0,
		`drops_total{reason="over_limit"}`: 0,
	}
	got := s.sample()
	for name, value := range want {
		if n, ok := got[name]; !ok || n != value {
			t.Errorf("%s is %v, want %v", name, n, value)
		}
	}
	s.stop()
}
