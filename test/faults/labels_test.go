package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// decision is a line of a label log.
type decision struct {
	Time    float64         `json:"ts"`
	Sensor  string          `json:"sensor"`
	Flow    json.RawMessage `json:"flow"`
	Label   string          `json:"label"`
	Score   float32         `json:"score"`
	Stage   string          `json:"stage"`
	Packets int             `json:"packets"`
	Model   string          `json:"model"`
	Reason  string          `json:"reason"`
}

func (d *decision) key() string { return d.Sensor + " " + string(d.Flow) }

// micros is the time of the flow's first packet.
func (d *decision) micros() int64 { return int64(d.Time*1e6 + .5) }

// readLabels reads a label log in which every line must be whole. A last line
// that is not is fine while a process writes: then whole is false.
func readLabels(t testing.TB, path string, whole bool) (all []decision) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	if whole && end != len(data) {
		t.Errorf("%s ends in %q", path, data[end:])
	}
	n := 0
	for line := range bytes.Lines(data[:end]) {
		n++
		var d decision
		if err := json.Unmarshal(line, &d); err != nil || d.Sensor == "" || len(d.Flow) == 0 || d.Label == "" || d.Reason == "" {
			t.Errorf("%s:%d: %q is no decision (%v)", path, n, line, err)
		}
		all = append(all, d)
	}
	return all
}

// byFlow returns the decisions by sensor and flow, of which each may have one.
func byFlow(t testing.TB, all []decision) map[string]decision {
	t.Helper()
	flows := make(map[string]decision, len(all))
	for _, d := range all {
		if before, twice := flows[d.key()]; twice {
			t.Errorf("flow %s was decided twice: %+v, %+v", d.key(), before, d)
		}
		flows[d.key()] = d
	}
	return flows
}

// awaitLabels waits until the label log has so many lines.
func (p *place) awaitLabels(lines int) []decision {
	p.t.Helper()
	await(p.t, func() error {
		data, err := os.ReadFile(p.labels)
		if n := bytes.Count(data, []byte{'\n'}); err == nil && n < lines {
			return fmt.Errorf("%d lines in the label log, want %d", n, lines)
		}
		return err
	})
	return readLabels(p.t, p.labels, false)
}
