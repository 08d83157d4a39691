package faults

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/tune/report"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/tap/wire"
)

// TestSoak lets a sidecar work for long at half of what it can sustain, with
// flows that are always new and taps that come and go: it takes no more of
// anything at the end than when it had as many flows to remember as it ever has.
func TestSoak(t *testing.T) {
	during, forget := *soak, 5*time.Minute // which is the default
	if during == 0 {
		t.Parallel()
		during, forget = 24*time.Second, briefly
	}
	w := newSoaked(t, forget)
	usage := w.run(during)
	w.process.stop()
	for _, m := range watched {
		first, second, last := usage.quarter(m, 0), usage.quarter(m, 1), usage.quarter(m, 3)
		t.Logf("%s: %.1f in the first quarter, %.1f in the second, %.1f in the last", m.title, first, second, last)
	}
	for _, err := range usage.grown(forget) {
		t.Error(err)
	}
	if *soak > 0 {
		usage.draw(t)
	}
}

// TestSoakTells: growth is reported. Flows that are never removed stand for a
// leak of memory, connections that nobody closes for one of goroutines and
// descriptors.
func TestSoakTells(t *testing.T) {
	t.Parallel()
	w := newSoaked(t, time.Hour)
	w.leave = func(*tap) {}
	w.flows = unended(w.flows)
	if len(w.flows) == 0 {
		t.Fatal("no flow is decided before it ends")
	}
	usage := w.run(16 * time.Second)
	w.process.stop()
	grown := fmt.Sprint(usage.grown(briefly))
	for _, name := range []string{"goroutines", "file descriptors", "remembered"} {
		if !strings.Contains(grown, name) {
			t.Errorf("nothing is said of %s: %s", name, grown)
		}
	}
}

// unended are the flows with all packets that channel looks at, without their ENDs, so
// that they are remembered.
func unended(flows []sample) (long []sample) {
	const packets, end = 12, 0x93 // END is an array of three
	for _, s := range flows {
		if n := len(s.ids) - 1; n == packets && s.bytes[s.ids[n]-3] == end {
			s.bytes, s.ids = s.bytes[:s.ids[n]-3], s.ids[:n]
			long = append(long, s)
		}
	}
	return long
}

// briefly is how long flows are remembered in short runs.
const briefly = 3 * time.Second

// resource is a metric that is to stay level.
type resource struct {
	name, title string
	unit        float64
	slack       float64 // in units, besides a tenth
}

const remembered = "serveflow_flows"

var watched = []resource{
	{"process_resident_memory_bytes", "resident memory, MiB", 1 << 20, 12},
	{"go_memstats_heap_inuse_bytes", "heap in use, MiB", 1 << 20, 12},
	{"go_goroutines", "goroutines", 1, 6},
	{"process_open_fds", "file descriptors", 1, 6},
	{remembered, "flows remembered", 1, math.Inf(1)}, // which has a limit
}

// soaked is a sidecar at work, and its taps.
type soaked struct {
	t *testing.T
	*changing
	process *process
	flows   []sample
	leave   func(*tap) // what a tap does when it is done
}

func newSoaked(t *testing.T, forget time.Duration) *soaked {
	t.Helper()
	list, err := dataset.Read(captureDir+"/lab/manifest.csv", "label", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open("channel", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := &soaked{
		t: t, flows: recorded(t, list, b), leave: func(c *tap) { c.Close() },
		changing: newChanging(t, root+"/models/channel", fmt.Sprintf("[flow]\nidle_timeout = \"2s\"\nretention = %q\n[labels]\nmax_size = \"16MiB\"\nkeep = 1", forget)),
	}
	w.process = w.start()
	return w
}

// use is what the sidecar used at a time.
type use struct {
	at time.Duration
	of map[string]float64 // metrics
}

type usages struct {
	rate float64 // flows a second
	all  []use
}

// run has flows come, and asks the sidecar now and then.
func (w *soaked) run(during time.Duration) (u usages) {
	w.t.Helper()
	u.rate = w.sustained(w.flows, 20_000) / 2
	if *soak == 0 {
		u.rate = min(u.rate, 1000)
	}
	w.t.Logf("%.0f flows/s", u.rate)
	g := w.generate(wire.Hello{Sensor: "office"}, w.flows, "")
	every := max(during/400, 250*time.Millisecond)
	for began := time.Now(); time.Since(began) < during; {
		guest := w.hello(wire.Hello{Sensor: "guest", Reply: true})
		if m := g.run(u.rate, every); m.labelled != m.flows {
			w.t.Errorf("%d labels of %d flows", m.labelled, m.flows)
		}
		guest.do(guest.packet(uint64(len(u.all)), 1, 53))
		guest.sync(true)
		w.leave(guest)
		u.all = append(u.all, use{time.Since(began), w.process.scrape()})
	}
	return u
}

// quarter is the median of a metric in a quarter of the time, in its unit.
func (u usages) quarter(m resource, n int) float64 {
	var values []float64
	for _, one := range u.all[n*len(u.all)/4 : (n+1)*len(u.all)/4] {
		values = append(values, one.of[m.name]/m.unit)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// grown tells of what there is more of in the last quarter than in the second,
// and of flows that are remembered for longer than they are to be.
func (u usages) grown(forget time.Duration) (errs []error) {
	for _, m := range watched {
		before, after := u.quarter(m, 1), u.quarter(m, 3)
		if after > before*1.1+m.slack {
			errs = append(errs, fmt.Errorf("%s: %.1f in the second quarter, %.1f in the last", m.title, before, after))
		}
	}
	limit := u.rate * (forget + 2*time.Second).Seconds()
	if n := u.quarter(resource{name: remembered, unit: 1}, 3); n > limit {
		errs = append(errs, fmt.Errorf("%.0f flows are remembered, want at most %.0f", n, limit))
	}
	return errs
}

// draw writes how it went to a page of its own.
func (u usages) draw(t *testing.T) {
	t.Helper()
	page := report.Page{Title: "Soak", Lead: []string{"What a sidecar uses while it works at half of what it can sustain."}}
	var section report.Section
	for _, m := range watched {
		s := report.Series{Name: m.title}
		for _, one := range u.all {
			s.Points = append(s.Points, report.Point{X: one.at.Minutes(), Y: one.of[m.name] / m.unit})
		}
		section.Draw = append(section.Draw, &report.Plot{X: "minutes", Y: m.title, ToY: 1, Series: []report.Series{s}})
	}
	page.Parts = []report.Part{{Sections: []report.Section{section}}}
	writePage(t, &page, "soak.html")
}
