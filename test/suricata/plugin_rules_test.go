package suricata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/output/decision"
	"serveflow/test/engine"
)

func TestSuricata7PluginRules(t *testing.T) { ruled(t, labelling7()) }

func TestSuricata8PluginRules(t *testing.T) { ruled(t, suricata8(t).with("plugin")) }

// ruled: rules that name the flow bits of labels alert once for each flow, by the label
// that it has, in the middle of it; and those of another name do not.
func ruled(t *testing.T, e suricata) {
	e.need(t)
	dir := filepath.Join(engine.Root(t), "test/bundle/toy")
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	labels := append(b.Manifest.Labels, bundle.UnknownLabel)
	var text strings.Builder
	for i, label := range append(labels, "no-label") {
		fmt.Fprintf(&text, `alert ip any any -> any any (msg:"%s"; flowbits:isset,serveflow.%s; flowbits:isnotset,alerted; flowbits:set,alerted; sid:%d; rev:1;)`+"\n", label, label, i+1)
	}
	e.rules = filepath.Join(t.TempDir(), "labels.rules")
	if err := os.WriteFile(e.rules, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	const flows, packets = 40, 2500
	long := filepath.Join(t.TempDir(), "long.pcap")
	exchanges(t, long, flows, packets)
	for threads := 1; threads <= 2; threads++ {
		s := engine.Start(t, dir, "")
		eve, _ := e.run(t, engine.Capture{Name: "long", Path: long}, threads, s.Socket, "rules")
		s.Stop(t)
		made := map[string]string{}
		for _, d := range s.Decisions(t) {
			made[string(d.Flow)] = d.Label
		}
		alerts := map[string]int{}
		for _, a := range engine.Lines[struct {
			flow
			Alert struct{ Signature string }
			Label *label `json:"serveflow"`
		}](t, eve) {
			if a.Type != "alert" {
				continue
			}
			alerts[a.name()]++
			if a.Alert.Signature != made[a.name()] || a.packets() >= packets {
				t.Errorf("%d threads: %q alerted after %d packets of flow %s, whose label is %q", threads, a.Alert.Signature, a.packets(), a.name(), made[a.name()])
			}
			if e.version == "8" && (a.Label == nil || a.Label.Label != a.Alert.Signature) {
				t.Errorf("%d threads: an alert by %q has the object %+v", threads, a.Alert.Signature, a.Label)
			}
		}
		if len(made) != flows || len(alerts) != flows {
			t.Errorf("%d threads: %d flows decided, %d of %d alerted", threads, len(made), len(alerts), flows)
		}
		for id, n := range alerts {
			if n != 1 {
				t.Errorf("%d threads: %d alerts of flow %s", threads, n, id)
			}
		}
	}
}

// TestSuricata8PluginAgrees: the object says whether Suricata's protocol of the flow goes
// together with the label, by the list of the bundle.
func TestSuricata8PluginAgrees(t *testing.T) {
	e := suricata8(t).with("plugin")
	e.need(t)
	dir := filepath.Join(engine.Root(t), "models/channel")
	manifest, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.Start(t, dir, "")
	count := map[string]int{}
	for _, c := range engine.Committed(t) {
		eve, _ := e.run(t, c, 1, s.Socket, "suricata "+c.Name)
		for line := range bytes.Lines(eve) {
			var r struct {
				Type     string `json:"event_type"`
				Protocol string `json:"app_proto"`
				Label    *struct {
					Label  string
					Agrees *bool
				} `json:"serveflow"`
			}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if r.Type != "flow" || r.Label == nil {
				continue
			}
			services := strings.Join(manifest.Manifest.Agrees[r.Label.Label], ",")
			want := map[decision.Agreement]string{decision.NotKnown: "missing", decision.Agrees: "true", decision.Disagrees: "false"}[decision.Compare(services, r.Protocol)]
			got := "missing"
			if r.Label.Agrees != nil {
				got = fmt.Sprint(*r.Label.Agrees)
			}
			if got != want {
				t.Errorf("%s: agrees is %s and should be %s: %s", c.Name, got, want, line)
			}
			count[got]++
		}
	}
	s.Stop(t)
	if count["true"] == 0 || count["missing"] == 0 {
		t.Errorf("these captures show little: %v", count)
	}
	t.Logf("agrees: %v", count)
}
