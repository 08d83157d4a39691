package suricata

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"testing"

	"serveflow/test/engine"
)

// byChance is what differs between two runs on one capture: ids, and whether a flow
// was found to be over before or at the end.
var byChance = regexp.MustCompile(`"flow_id":\d+,|"reason":"(timeout|shutdown)",`)

// holdRecords holds an EVE log that has labels by the plugin against the label log,
// and, for one thread, against what the same Suricata writes without the plugin. Ids
// are others in each run.
func (e suricata) holdRecords(t *testing.T, held *holding, c engine.Capture, threads int, eve []byte, made []engine.Decision) {
	t.Helper()
	decided := map[string]label{}
	for _, d := range made {
		decided[string(d.Flow)] = label{d.Label, d.Score, d.Margin, d.Reason}
	}
	records := map[string]int{}
	for line := range bytes.Lines(eve) {
		line = bytes.TrimSpace(line)
		var f flow
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		want, known := decided[f.name()]
		if at := added.FindSubmatchIndex(line); at != nil {
			if err := held.ours.validate(line[at[2]:at[3]]); err != nil {
				t.Errorf("not in the schema: %v: %s", err, line)
			}
			var got label
			if err := json.Unmarshal(line[at[2]:at[3]], &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if want := want.in(f.Type); got != want {
				t.Errorf("%s: a record says %+v, the label log %+v: %s", c.Name, got, want, line)
			}
			record := line
			line = append(line[:at[0]:at[0]], '}')
			if err := held.hold(record, line); err != nil {
				t.Errorf("not in Suricata's schema: %v: %s", err, record)
			}
		} else if f.Type == "flow" && known {
			t.Errorf("%s: no label, but the label log has %+v: %s", c.Name, want, line)
		}
		records[byChance.ReplaceAllString(comparable(t, line), "")]++
	}
	if threads != 1 {
		return
	}
	plain, _ := e.with("none").run(t, c, threads, "", "")
	for line := range bytes.Lines(plain) {
		records[byChance.ReplaceAllString(comparable(t, bytes.TrimSpace(line)), "")]--
	}
	for line, n := range maps.All(records) {
		if n != 0 {
			t.Errorf("%s: %+d with the plugin: %s", c.Name, n, line)
		}
	}
}
