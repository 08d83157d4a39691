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
	strikeAt         = 4 * time.Second
	mendAt           = 14 * time.Second
)

// Mishap is what happens to a sidecar while an engine runs.
type Mishap struct {
	Name         string
	Absent       bool // the sidecar is not there when the engine starts
	Forgets      bool // what it held in memory is lost: undecided flows, records
	Stalls       bool // it answers nobody for a while
	strike, mend func(*Sidecar, *testing.T)
}

// Mishaps are all of them, none first.
var Mishaps = []Mishap{
	{Name: "none"},
	{Name: "absent at start", Absent: true, mend: (*Sidecar).Start},
	{Name: "killed", Forgets: true, strike: (*Sidecar).kill, mend: (*Sidecar).Start},
	{Name: "stopped for 10 s", Stalls: true, strike: (*Sidecar).halt, mend: (*Sidecar).resume},
	{Name: "restarted", strike: (*Sidecar).restart},
}

// Strikes says whether anything happens.
func (m *Mishap) Strikes() bool { return m.strike != nil || m.mend != nil }

// Played is when what happened in a live run.
type Played struct {
	Packets                      int // sent
	Begun, Struck, Mended, Ended time.Time
}

// Play plays traffic into the link while the mishap happens.
func (m *Mishap) Play(t *testing.T, s *Sidecar) (p Played) {
	t.Helper()
	p.Begun = time.Now()
	played := make(chan struct{})
	go func() {
		defer close(played)
		p.Packets = Traffic(t, PacketsPerSecond, RunSeconds)
	}()
	time.Sleep(time.Until(p.Begun.Add(strikeAt)))
	p.Struck = time.Now()
	if m.strike != nil {
		m.strike(s, t)
	}
	if m.mend != nil {
		time.Sleep(time.Until(p.Begun.Add(mendAt)))
		m.mend(s, t)
	}
	p.Mended = time.Now()
	<-played
	p.Ended = time.Now()
	return p
}

// Phases count the flows of a live run by when they began: before the mishap,
// during it, and in the last 4 s.
type Phases struct {
	all [3]phase
	// first is when the first flow began after the mishap that has a label.
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
	p.over = run.Mended
	count := func(i int) {
		p.all[i].flows++
		if labelled {
			p.all[i].labelled++
		}
	}
	switch {
	case start.Before(run.Struck):
		count(0)
	case start.Before(run.Mended):
		count(1)
	case start.After(run.Ended.Add(-4 * time.Second)):
		count(2)
	}
	if !start.Before(run.Mended) && labelled && (p.first.IsZero() || start.Before(p.first)) {
		p.first = start
	}
}

// Columns are the shares of labelled flows, phase by phase, and how long it took
// from the end of the mishap to the first flow with a label.
func (p *Phases) Columns() []string {
	back := "-"
	if !p.first.IsZero() {
		back = p.first.Sub(p.over).Round(100 * time.Millisecond).String()
	}
	return []string{p.all[0].String(), p.all[1].String(), p.all[2].String(), back}
}

// Check tells complain of phases in which too few flows are labelled: what is on
// its way to a sidecar that stops is lost, and if spared none need be before the
// mishap.
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
