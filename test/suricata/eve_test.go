package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"serveflow/test/engine"
)

func TestSuricata7EVE(t *testing.T) {
	for _, tap := range []string{"output", "rule"} {
		t.Run(tap, func(t *testing.T) { enriched(t, suricata{version: "7", command: "suricata", tap: tap}) })
	}
}

func TestSuricata8EVE(t *testing.T) {
	enriched(t, suricata8(t))
}

// added is what the sidecar adds to a record: an object without objects inside,
// before the record's last brace.
var added = regexp.MustCompile(`,"serveflow":(\{[^{}]*\})\}$`)

// enriched: the records that Suricata sends to the sidecar come out with labels,
// and are otherwise those that it writes to its own eve.json.
func enriched(t *testing.T, e suricata) {
	e.need(t)
	for threads := 1; threads <= 2; threads++ {
		t.Run(fmt.Sprintf("%d_threads", threads), func(t *testing.T) {
			dir, err := os.MkdirTemp("", "eve")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			socket, output := filepath.Join(dir, "eve.sock"), filepath.Join(dir, "eve.json")
			s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"),
				fmt.Sprintf("[eve]\nlisten = %q\noutput = %q\n", socket, output))
			with := e
			with.args = append(slices.Clone(e.args),
				"--set", "outputs.2.eve-log.enabled=yes", "--set", "outputs.2.eve-log.filename="+socket)

			var plain []byte
			for _, c := range append(engine.Committed(t), engine.Labelled(t, "iot-device", 12, 1000)...) {
				eve, _ := with.run(t, c, threads, s.Socket, "suricata")
				plain = append(plain, eve...)
			}
			s.Stop(t)
			data, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			compareRecords(t, e, plain, data, s.Decisions(t))
			documented(t, dir)
		})
	}
}

// documented runs what the README says to read eve.json with.
func documented(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(engine.Root(t), "suricata-lua/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## Read it\n")
	_, after, _ = strings.Cut(after, "```sh\n")
	commands, _, ok := strings.Cut(after, "```\n")
	if !ok || !strings.Contains(commands, "jq") {
		t.Fatal("the README does not say how to read eve.json")
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte(" web\n")) {
		t.Errorf("%v: %s\n%s", err, commands, out)
	}
}

// label is the object that the sidecar adds, as far as the label log says it too.
type label struct {
	Label  string  `json:"label"`
	Score  float64 `json:"score"`
	Margin float64 `json:"margin"`
	Reason string  `json:"reason"`
}

// in is what a record of a type has of it.
func (l label) in(eventType string) label {
	if eventType == "flow" {
		return l
	}
	return label{Label: l.Label, Score: l.Score}
}

var flowTime = regexp.MustCompile(`^\{"timestamp":"[^"]*"(,.*"event_type":"flow",)`)

// comparable is the line itself, but for two things that Suricata does not write
// alike into two logs: the grouped answers of a DNS record are in another order
// each time, and a flow record has the time when it was written.
func comparable(t *testing.T, line []byte) string {
	t.Helper()
	line = flowTime.ReplaceAll(line, []byte(`{$1`))
	if !bytes.Contains(line, []byte(`"event_type":"dns"`)) {
		return string(line)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

func compareRecords(t *testing.T, e suricata, plain, enriched []byte, decisions []engine.Decision) {
	t.Helper()
	decided := map[string]label{}
	for _, d := range decisions {
		decided[string(d.Flow)] = label{d.Label, d.Score, d.Margin, d.Reason}
	}
	want := map[string]int{}
	for line := range bytes.Lines(plain) {
		want[comparable(t, bytes.TrimSpace(line))]++
	}
	held := newHolding(t)
	records, flows, labelled, others := 0, 0, 0, 0
	for line := range bytes.Lines(enriched) {
		line = bytes.TrimSpace(line)
		records++
		var f flow
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		isFlow := f.Type == "flow" && (f.Proto == "TCP" || f.Proto == "UDP")
		if isFlow {
			flows++
		}
		if at := added.FindSubmatchIndex(line); at != nil {
			if err := held.ours.validate(line[at[2]:at[3]]); err != nil {
				t.Errorf("not in the schema: %v: %s", err, line)
			}
			var got label
			if err := json.Unmarshal(line[at[2]:at[3]], &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if made := decided[f.name()].in(f.Type); got != made {
				t.Errorf("a record says %+v, the label log %+v: %s", got, made, line)
			}
			if isFlow {
				labelled++
			} else if f.Type != "flow" {
				others++
			}
			record := line
			line = append(line[:at[0]:at[0]], '}')
			if err := held.hold(record, line); err != nil {
				t.Errorf("not in Suricata's schema: %v: %s", err, record)
			}
		} else if isFlow {
			t.Errorf("no label: %s", line)
		}
		want[comparable(t, line)]--
	}
	for line, n := range maps.All(want) {
		if n != 0 {
			t.Errorf("%+d in eve.json: %s", n, line)
		}
	}
	t.Logf("eve suricata %s (%s): records %d, flows %d, labelled %d, other records with a label %d; %s",
		e.version, e.tap, records, flows, labelled, others, held)
}
