package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
	"serveflow/test/kafka/broker"
)

func TestKafka7(t *testing.T) {
	streamed(t, suricata{version: "7", command: "suricata", tap: "output"})
}

func TestKafka8(t *testing.T) { streamed(t, suricata8(t)) }

// streamed: each record of EVE that has a label in eve.json is in the topic for them, once
// and with the same bytes, and each decision in the topic of labels, though the broker
// stands still in between.
func streamed(t *testing.T, e suricata) {
	b := broker.New(t)
	e.found(t)
	b.Start()
	b.Await()
	b.Topic("labels")
	b.Topic("eve")
	dir, err := os.MkdirTemp("", "eve")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, output := filepath.Join(dir, "eve.sock"), filepath.Join(dir, "eve.json")
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), fmt.Sprintf(
		"[eve]\nlisten = %q\noutput = %q\n[kafka]\nbrokers = [%q]\ntopic = \"labels\"\neve_topic = \"eve\"\nhost = \"here\"\nqueue = %q\n",
		socket, output, b.Address(), filepath.Join(dir, "queue")))
	with := e
	with.args = append(slices.Clone(e.args), "--set", "outputs.2.eve-log.enabled=yes", "--set", "outputs.2.eve-log.filename="+socket)
	all := append(engine.Committed(t), engine.Labelled(t, "iot-device", 12, 1000)...)
	for i, c := range all {
		if i == len(all)/2 {
			b.Signal(syscall.SIGSTOP)
		}
		with.run(t, c, 2, s.Socket, "suricata")
	}
	b.Signal(syscall.SIGCONT)
	time.Sleep(10 * time.Second) // the rest is sent
	s.Stop(t)

	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	want, keys := map[string]int{}, map[string]string{}
	lines, records := 0, 0
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if added.Match(line) {
			var f flow
			if err := json.Unmarshal(line, &f); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			want[string(line)]++
			keys[string(line)] = f.CommunityID
			lines++
		}
	}
	types := map[string]int{}
	for _, r := range b.Records("eve") {
		var v struct {
			Event struct{ ID string }
			Host  string
			Type  string `json:"event_type"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("%v: %s", err, r.Value)
		}
		types[v.Type]++
		rest, ok := bytes.CutPrefix(r.Value, fmt.Appendf(nil, `{"event":{"id":%q},"host":"here",`, v.Event.ID))
		line := "{" + string(rest)
		if !ok || len(v.Event.ID) != 32 || want[line] == 0 || string(r.Key) != keys[line] || keys[line] == "" {
			t.Fatalf("key %s, not a record of eve.json: %s", r.Key, r.Value)
		}
		want[line]--
		records++
	}
	decided := map[string]int{}
	decisions := s.Decisions(t)
	for _, d := range decisions {
		decided[string(d.Flow)]++
	}
	labels := b.Records("labels")
	for _, r := range labels {
		var d engine.Decision
		if err := json.Unmarshal(r.Value, &d); err != nil {
			t.Fatalf("%v: %s", err, r.Value)
		}
		if decided[string(d.Flow)]--; decided[string(d.Flow)] < 0 || d.Sensor != "suricata" {
			t.Errorf("not in the label log, or twice: %s", r.Value)
		}
	}
	t.Logf("suricata %s: %d of %d records with a label in the topic, by type %v; %d of %d decisions", e.version, records, lines, types, len(labels), len(decisions))
	if records != lines || len(labels) != len(decisions) || types["flow"] < 100 || len(types) < 3 {
		t.Error("want all of them, of several types")
	}
}
