package kafka

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/spool"
	"serveflow/sidecar/tap/wire"
)

func sample() decision.Record {
	r := decision.Record{
		Start: 1_700_000_000_123_456, Sensor: "zeek-1", Flow: wire.UintID(42),
		Label: "web", Score: .5, Margin: .25, Stage: "first", Packets: 2, LatencyUS: 77, Model: "channel@2.0.0", Reason: "accepted",
	}
	r.Tuple.SetAddrs(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"))
	r.Tuple.SrcPort, r.Tuple.DstPort, r.Tuple.Proto = 1234, 443, packet.TCP
	return r
}

// item is the one item that was encoded.
func item(t *testing.T, e *encoder) (kind byte, key string, value map[string]any, text string) {
	t.Helper()
	if want := len(e.items) - spool.ItemHead; want < 0 {
		t.Fatal("no item")
	}
	kind, k, v, err := decode(e.items[spool.ItemHead:])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(v, &value); err != nil {
		t.Fatalf("%v: %s", err, v)
	}
	e.items = e.items[:0]
	return kind, string(k), value, string(v)
}

func idOf(value map[string]any) string { return value["event"].(map[string]any)["id"].(string) }

func TestLabelItem(t *testing.T) {
	e := newEncoder(`a "host"`)
	r := sample()
	e.label(&r)
	kind, key, value, text := item(t, e)
	if kind != kindLabel || key != communityid.Of(r.Tuple) || key == "" {
		t.Errorf("kind %d, key %q", kind, key)
	}
	// The rest is the line of the label log.
	line := string(r.Append(nil))
	if tail := strings.TrimSuffix(line[1:], "\n"); !strings.HasSuffix(text, ","+tail) {
		t.Errorf("%s\ndoes not end as\n%s", text, line)
	}
	if value["host"] != `a "host"` || value["sensor"] != "zeek-1" || value["flow"] != 42. || value["label"] != "web" {
		t.Errorf("%v", value)
	}
	id := idOf(value)
	if len(id) != idSize {
		t.Errorf("id %q", id)
	}

	// The same event has the same id, whoever encodes it and whatever was decided.
	other := newEncoder(`a "host"`)
	r.Sensor = "another"
	other.label(&r)
	item(t, other)
	r.Sensor, r.Label, r.Score = "zeek-1", "dns", 1
	other.label(&r)
	if _, _, v, _ := item(t, other); idOf(v) != id {
		t.Errorf("ids %q and %q of the same flow", idOf(v), id)
	}
}

// Whatever tells two flows apart gives them two ids.
func TestIDs(t *testing.T) {
	seen := map[string]string{}
	for name, c := range map[string]struct {
		host   string
		change func(*decision.Record)
	}{
		"as it is": {"h", func(*decision.Record) {}},
		"host":     {"h2", func(*decision.Record) {}},
		"sensor":   {"h", func(r *decision.Record) { r.Sensor = "zeek-2" }},
		"flow":     {"h", func(r *decision.Record) { r.Flow = wire.UintID(43) }},
		"text":     {"h", func(r *decision.Record) { r.Flow = mustText("42") }},
		"start":    {"h", func(r *decision.Record) { r.Start++ }},
		"shifted":  {"hz", func(r *decision.Record) { r.Sensor = "eek-1" }},
		"joined":   {"h", func(r *decision.Record) { r.Sensor, r.Flow = "zeek-14", wire.UintID(2) }},
	} {
		e, r := newEncoder(c.host), sample()
		c.change(&r)
		e.label(&r)
		_, _, value, _ := item(t, e)
		if before, ok := seen[idOf(value)]; ok {
			t.Errorf("%s and %s have the same id", before, name)
		}
		seen[idOf(value)] = name
	}
}

func mustText(s string) wire.FlowID {
	id, err := wire.StringID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// A flow without a Community ID is its own key, and hostile names cannot make one.
func TestKeyOfUnknownEnds(t *testing.T) {
	e, r := newEncoder("h"), sample()
	r.Tuple = packet.Tuple{}
	r.Sensor = `,"community_id":"1:forged"`
	e.label(&r)
	if _, key, value, _ := item(t, e); key != idOf(value) {
		t.Errorf("key %q, id %q", key, idOf(value))
	}
}

func TestEVEItem(t *testing.T) {
	for _, c := range []struct{ record, key, host string }{
		{`{"timestamp":"x","community_id":"1:abc","serveflow":{"label":"web"}}`, "1:abc", "h"},
		{`{"timestamp":"x","community_id":7}`, "", "h"},
		{`{"community_id":"` + strings.Repeat("x", 300) + `"}`, "", "h"},
		{`{"community_id":"1:abc","http":{"host":"x"},"host":"sensor-name"}`, "1:abc", "sensor-name"},
		{` { } `, "", "h"},
	} {
		e := newEncoder("h")
		e.eve("suricata", []byte(c.record))
		kind, key, value, text := item(t, e)
		if want := c.key; kind != kindEVE || (want == "" && key != idOf(value)) || (want != "" && key != want) {
			t.Errorf("%s: kind %d, key %q", c.record, kind, key)
		}
		members := 0
		for name := range jsonl.Members([]byte(text)) {
			if string(name) == "host" {
				members++
			}
		}
		if value["host"] != c.host || members != 1 {
			t.Errorf("%s", text)
		}
		e.eve("suricata", []byte(c.record))
		if _, _, again, _ := item(t, e); idOf(again) != idOf(value) {
			t.Errorf("%s: another id the second time", c.record)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 1, 'k'})
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, item []byte) {
		kind, key, value, err := decode(item)
		if err == nil && (kind > kindEVE || len(key)+len(value)+2 != len(item)) {
			t.Errorf("kind %d, %d and %d bytes of %d", kind, len(key), len(value), len(item))
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	e, r := newEncoder("host"), sample()
	b.ReportAllocs()
	for b.Loop() {
		e.items = e.items[:0]
		e.label(&r)
	}
}
