package suricata

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/test/engine"
)

func TestLive7PluginReload(t *testing.T) {
	if e := labelling7(); e.ownNetwork(t) {
		reloaded(t, e, false)
	}
}

func TestLive8PluginReload(t *testing.T) {
	if e := suricata8(t).with("plugin"); e.ownNetwork(t) {
		reloaded(t, e, false)
	}
}

// labelling7 is Suricata 7 with a plugin that wants labels.
func labelling7() suricata {
	e := plugin7()
	e.args = []string{"--set", "serveflow.labels=yes"}
	return e
}

// A ruling is a set of rules that a live Suricata has for a while.
type ruling struct {
	text       string
	named      bool // it names the flow bits of labels
	begun, end time.Time
}

// rulings are rules for labels: one after the other, in another order and among others,
// so that Suricata numbers them otherwise; without labels; and as at first.
func rulings(labels []string) (all []ruling) {
	var rules []string
	for i, label := range labels {
		rules = append(rules, fmt.Sprintf(`alert ip any any -> any any (msg:"%s"; flowbits:isset,serveflow.%s; flowbits:isnotset,alerted; flowbits:set,alerted; sid:%d;)`, label, label, i+1))
	}
	var other, mixed []string
	for i := range labels {
		other = append(other, fmt.Sprintf(`alert tcp any any -> any 1 (msg:"other"; flowbits:isset,other%d; flowbits:set,another%d; sid:%d;)`, i, i, 1000+i))
		mixed = append([]string{other[i], rules[i]}, mixed...)
	}
	for _, lines := range [][]string{rules, mixed, other, rules} {
		text := strings.Join(lines, "\n") + "\n"
		all = append(all, ruling{text: text, named: strings.Contains(text, "serveflow.")})
	}
	return all
}

// reloaded: a live Suricata takes other rules while labels come, again and again; flows
// alert by their label, once, as long as rules name it. With a sidecar that is killed,
// they do again when it is back.
func reloaded(t *testing.T, e suricata, killed bool) {
	toy := filepath.Join(engine.Root(t), "test/bundle/toy")
	b, err := bundle.Open(toy, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e.rules = filepath.Join(dir, "labels.rules")
	all := rulings(append(b.Manifest.Labels, bundle.UnknownLabel))
	write := func(r *ruling) {
		if err := os.WriteFile(e.rules, []byte(r.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(&all[0])
	s := engine.Start(t, toy, "")
	program := e.start(t, dir, s.Socket, "reload", append([]string{"--af-packet=" + engine.Watched}, shortTimeouts()...)...)
	all[0].begun = time.Now()

	const flows, packets, rate = 1120, 50, 4000 // for 14 s, each flow for half a second
	traffic := filepath.Join(dir, "traffic.pcap")
	exchanges(t, traffic, flows, packets)
	played := make(chan int)
	go func() { played <- engine.Replay(t, rate, traffic) }()
	for i := range all {
		if i > 0 {
			all[i-1].end = time.Now()
			write(&all[i])
			program.Process.Signal(syscall.SIGUSR2)
			awaitCount(t, program, "rule reload complete", i)
			all[i].begun = time.Now()
		}
		next := time.After(3 * time.Second)
		if killed && i == 1 {
			s.Kill(t)
			time.Sleep(time.Second)
			s.Start(t)
		}
		<-next
	}
	<-played
	all[len(all)-1].end = time.Now()
	time.Sleep(3 * time.Second)
	program.Process.Signal(syscall.SIGINT)
	err = program.Wait()
	said := program.Text(t)
	s.Stop(t)
	if m := kernel.FindStringSubmatch(said); err != nil || fault.MatchString(said) || m == nil || m[2] != "0" {
		t.Fatalf("suricata: %v\n%s", err, said)
	}
	eve, err := os.ReadFile(filepath.Join(dir, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	e.alerted(t, eve, s.Decisions(t), all, killed)
}

// alerted holds the alerts against the decisions and the rules that there were.
func (e suricata) alerted(t *testing.T, eve []byte, decisions []engine.Decision, all []ruling, killed bool) {
	t.Helper()
	made := map[string]string{}
	for _, d := range decisions {
		made[string(d.Flow)] = d.Label
	}
	alerts := map[string]int{}
	for _, a := range engine.Lines[struct {
		flow
		Alert struct{ Signature string }
	}](t, eve) {
		if a.Type != "alert" {
			continue
		}
		alerts[a.name()]++
		if killed && a.start(t).Before(all[2].begun) {
			continue // a killed sidecar forgets what it decided
		}
		if label := made[a.name()]; a.Alert.Signature != label {
			t.Errorf("%q alerted on flow %s, whose label is %q", a.Alert.Signature, a.name(), label)
		}
	}
	of := make([]int, len(all))
	for _, f := range flows(t, eve) {
		if alerts[f.name()] > 1 {
			t.Errorf("%d alerts of flow %s", alerts[f.name()], f.name())
		}
		for i, r := range all {
			if killed && i < 2 {
				continue
			}
			// The plugin looks once a second whether rules name labels.
			if begun := f.start(t); begun.Before(r.begun.Add(1100*time.Millisecond)) || begun.After(r.end.Add(-700*time.Millisecond)) {
				continue
			}
			_, decided := made[f.name()]
			if want := r.named && decided; (alerts[f.name()] == 1) != want {
				t.Errorf("rules %d: %d alerts of flow %s, which began %v after them, with the label %q", i, alerts[f.name()], f.name(), f.start(t).Sub(r.begun), made[f.name()])
			}
			of[i]++
		}
	}
	t.Logf("suricata %s: %d decisions, %d flows alerted; flows that began well within the rules: %v", e.version, len(made), len(alerts), of)
	for i, n := range of {
		if n == 0 && !(killed && i < 2) {
			t.Errorf("rules %d: no flow began while they held", i)
		}
	}
}

// awaitCount waits until a program has said a text so often.
func awaitCount(t *testing.T, p engine.Program, text string, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); strings.Count(p.Text(t), text) < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not said %d times:\n%s", text, n, p.Text(t))
		}
	}
}
