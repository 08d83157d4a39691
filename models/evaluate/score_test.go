package evaluate

import (
	"math"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
)

// TestScore has scores computed by hand.
func TestScore(t *testing.T) {
	tests := []struct {
		name, truth, given string
		macro, weighted    float64
	}{
		{"all right", "a a b", "a a b", 1, 1},
		{"none right", "a b", "b a", 0, 0},
		// a: TP 2, FP 1, FN 1 -> 2/3. b: TP 1, FP 1, FN 1 -> 1/2.
		{"some right", "a a a b b", "a a b b a", (2./3 + 1./2) / 2, (3*2./3 + 2*1./2) / 5},
		// a: TP 1, FN 1 -> 2/3. b: TP 1 -> 1. Unknown is nobody's false positive.
		{"unknown is wrong", "a a b", "a unknown b", (2./3 + 1) / 2, (2*2./3 + 1) / 3},
		// A class that is given and never true lowers the others only.
		{"a class that does not occur", "a a", "a c", 2. / 3, 2. / 3},
		{"nothing", "", "", 0, 0},
	}
	for _, test := range tests {
		got := Score(strings.Fields(test.truth), strings.Fields(test.given))
		if math.Abs(got.Macro-test.macro) > 1e-12 || math.Abs(got.Weighted-test.weighted) > 1e-12 {
			t.Errorf("%s: %+v, want %v and %v", test.name, got, test.macro, test.weighted)
		}
	}
}

func TestLatency(t *testing.T) {
	var ms []float64
	for i := 100; i >= 1; i-- {
		ms = append(ms, float64(i))
	}
	if got, want := latency(ms), (Latency{P50: 50, P90: 90, P99: 99, Under16ms: .15}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := latency(nil); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func result(truth, label, stage, reason string, packets int, compute time.Duration, waits ...int64) flowResult {
	return flowResult{
		truth:  truth,
		Record: decision.Record{Label: label, Stage: stage, Reason: reason, Packets: packets, Compute: compute},
		trace:  replay.Trace{Packets: uint64(len(waits)), Waits: waits},
	}
}

func TestReport(t *testing.T) {
	c := &cascade.Cascade{Stages: []cascade.Stage{{Name: "fast", Packets: 1}, {Name: "slow", Packets: 3}}}
	o := Options{Bundle: &bundle.Bundle{Manifest: &bundle.Manifest{Name: "x", Version: "1.0.0", Labels: []string{"a", "b"}, Calibration: bundle.Calibration{TargetError: .1}}, Packet: c}}
	fast := []flowResult{
		result("a", "a", "fast", "accepted", 1, time.Millisecond, 0, 5000, 20000),
		result("a", "unknown", "slow", "last_stage", 3, 2*time.Millisecond, 0, 5000, 20000),
		result("b", "a", "slow", "flow_end", 2, 2*time.Millisecond, 0, 3000),
		result("b", "unknown", "", "unserved", 0, 0, 0),
	}
	slow := []flowResult{
		result("a", "a", "slow", "last_stage", 3, 2*time.Millisecond, 0, 5000, 20000),
		result("a", "a", "slow", "last_stage", 3, 2*time.Millisecond, 0, 5000, 20000),
		result("b", "b", "slow", "flow_end", 2, 2*time.Millisecond, 0, 3000),
		result("b", "unknown", "", "unserved", 0, 0, 0),
	}
	r := o.report(fast, slow)
	if r.Flows != 3 || r.Unserved != 1 || math.Abs(r.Coverage-2./3) > 1e-12 {
		t.Errorf("flows %d, unserved %d, coverage %v", r.Flows, r.Unserved, r.Coverage)
	}
	// Latencies 1, 22 and 5 ms, against 22, 22 and 5.
	if r.Latency.P50 != 5 || r.SlowOnly.LatencyP50 != 22 || r.Speedup != 4.4 {
		t.Errorf("latency %+v, slow %+v, speedup %v", r.Latency, r.SlowOnly, r.Speedup)
	}
	if r.Long != (Long{Flows: 2, LatencyP50: 1, SlowLatencyP50: 22, Speedup: 22}) {
		t.Errorf("flows with all packets: %+v", r.Long)
	}
	if r.SlowOnly.Macro != 1 || r.Macro >= 1 || r.Covered.Macro <= r.Macro/2 {
		t.Errorf("F1 %v, slow %v", r.Macro, r.SlowOnly.Macro)
	}
	if len(r.Stages) != 2 || math.Abs(r.Stages[0].Share-1./3) > 1e-12 || r.Stages[0].Right != 1 || r.Stages[1].Right != 0 {
		t.Errorf("stages %+v", r.Stages)
	}
	if r.Accepted != (Accepted{Share: 1. / 3, Promised: .1}) || math.Abs(r.SlowOnly.Under16ms-1./3) > 1e-12 {
		t.Errorf("accepted %+v, slow model alone %+v", r.Accepted, r.SlowOnly)
	}
	if len(r.Confusion) != 2 || r.Reasons["flow_end"] != 1 {
		t.Errorf("confusion %+v, reasons %+v", r.Confusion, r.Reasons)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"x@1.0.0 on 3 flows", "1 flows of protocols", "F1 macro, all flows", "slow", "(promised: 10 % at most)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, text.String())
		}
	}
}

// A capture counts once, however many flows it has.
func TestAccepted(t *testing.T) {
	flow := func(session int, label, reason string) flowResult {
		f := result("a", label, "fast", reason, 1, 0, 0)
		f.session = session
		f.right = label == "a"
		return f
	}
	flows := []flowResult{ // sessions of four flows, one and one
		flow(0, "b", "accepted"), flow(0, "a", "accepted"), flow(0, "b", "last_stage"), flow(0, "unknown", "flow_end"),
		flow(1, "a", "accepted"),
		flow(2, "a", "last_stage"),
	}
	got, want := accepted(flows, .1), Accepted{Share: .5, Wrong: 1. / 3, SessionsWrong: .25 / (.5 + 1 + 0), Promised: .1}
	if math.Abs(got.Wrong-want.Wrong) > 1e-12 || math.Abs(got.SessionsWrong-want.SessionsWrong) > 1e-12 || got.Share != want.Share || got.Promised != want.Promised {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := accepted(nil, 0); got != (Accepted{}) {
		t.Errorf("of nothing: %+v", got)
	}
}
