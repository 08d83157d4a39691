package engine

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// What a live run is: traffic in which a fault begins at 4 s and is over 10 s
// later. Within 5 s more the tap looks for its sidecar again.
const (
	PacketsPerSecond = 5000
	RunSeconds       = 24
	injectAt         = 4 * time.Second
	recoverAt        = 14 * time.Second
)

// Fault is a fault of the sidecar that a test injects while an engine runs.
type Fault struct {
	Name            string
	Absent          bool // the sidecar does not run when the engine starts
	Forgets         bool // undecided flows and records in its memory are lost
	Stalls          bool // it stops answering for a while
	inject, recover func(*Sidecar, *testing.T)
}

// Faults are all faults; the first is none.
var Faults = []Fault{
	{Name: "none"},
	{Name: "absent at start", Absent: true, recover: (*Sidecar).Start},
	{Name: "killed", Forgets: true, inject: (*Sidecar).Kill, recover: (*Sidecar).Start},
	{Name: "stopped for 10 s", Stalls: true, inject: (*Sidecar).halt, recover: (*Sidecar).resume},
	{Name: "restarted", inject: (*Sidecar).restart},
}

// Injects reports whether there is a fault.
func (f *Fault) Injects() bool { return f.inject != nil || f.recover != nil }

// Played are the times of a live run.
type Played struct {
	Packets                           int // sent
	Begun, Injected, Recovered, Ended time.Time
}

// Play plays traffic into the link and injects the fault.
func (f *Fault) Play(t *testing.T, s *Sidecar) (p Played) {
	t.Helper()
	p.Begun = time.Now()
	played := make(chan struct{})
	go func() {
		defer close(played)
		p.Packets = Traffic(t, PacketsPerSecond, RunSeconds)
	}()
	time.Sleep(time.Until(p.Begun.Add(injectAt)))
	p.Injected = time.Now()
	if f.inject != nil {
		f.inject(s, t)
	}
	if f.recover != nil {
		time.Sleep(time.Until(p.Begun.Add(recoverAt)))
		f.recover(s, t)
	}
	p.Recovered = time.Now()
	<-played
	p.Ended = time.Now()
	return p
}

// Phases count the flows of a live run by their start: before the fault, during it,
// and in the last 4 s.
type Phases struct {
	all [3]phase
	// first is the start of the first labelled flow after the fault.
	first time.Time
	over  time.Time
}

type phase struct{ flows, labelled int }

func (p phase) String() string {
	if p.flows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(p.labelled)/float64(p.flows))
}

// Add counts a flow.
func (p *Phases) Add(run *Played, start time.Time, labelled bool) {
	p.over = run.Recovered
	count := func(i int) {
		p.all[i].flows++
		if labelled {
			p.all[i].labelled++
		}
	}
	switch {
	case start.Before(run.Injected):
		count(0)
	case start.Before(run.Recovered):
		count(1)
	case start.After(run.Ended.Add(-4 * time.Second)):
		count(2)
	}
	if !start.Before(run.Recovered) && labelled && (p.first.IsZero() || start.Before(p.first)) {
		p.first = start
	}
}

// Columns are the shares of labelled flows of each phase, and the time from the end of
// the fault to the first labelled flow.
func (p *Phases) Columns() []string {
	back := "-"
	if !p.first.IsZero() {
		back = p.first.Sub(p.over).Round(100 * time.Millisecond).String()
	}
	return []string{p.all[0].String(), p.all[1].String(), p.all[2].String(), back}
}

// Check calls complain for each phase in which too few flows are labelled. Messages in
// transit to a sidecar that stops are lost. If spared, no flow before the fault needs a
// label.
func (p *Phases) Check(spared bool, complain func(format string, args ...any)) {
	for i, when := range []string{"before", "during", "at the end"} {
		want := [...]float64{0.9, 0, 0.99}[i]
		if spared && i == 0 {
			want = 0
		}
		if one := p.all[i]; i == 2 && one.flows == 0 || float64(one.labelled) < want*float64(one.flows) {
			complain("%d of %d flows labelled %s", one.labelled, one.flows, when)
		}
	}
}

// AwaitText waits until a file says something.
func AwaitText(t *testing.T, path, what string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		} else if bytes.Contains(text, []byte(what)) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", what, text)
		}
	}
}
