package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/tune/report"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/tap/wire"
)

// TestQuality drives a sidecar at ever more than it can sustain with real flows
// whose truth is known, and compares its labels with that. Quality falls with the
// share of flows that the slow stage has time for, and not below what the fast
// stage can do alone.
func TestQuality(t *testing.T) {
	list, err := dataset.Read(captureDir+"/lab/manifest.csv", "label", []string{"test"})
	if err != nil {
		t.Fatal(err)
	}
	c := newChanging(t, root+"/models/channel", overload)
	c.slowDown("large12.txt", 13)
	quality(t, c, "channel", list)
}

// TestQualityOfDevices does so with a bundle that is in use, as it is but for
// its last stage, which is made slow, on sessions that it has not seen.
func TestQualityOfDevices(t *testing.T) {
	if !*full {
		t.Skip("make faults does it")
	}
	list, err := dataset.Read(dataDir(t)+"/iot-device/manifest.csv", "class_family", []string{"test"})
	if err != nil {
		t.Fatal(err)
	}
	c := newChanging(t, root+"/models/iot-device", overload)
	c.slowDown("large10.txt", 27) // more trees than these are refused
	quality(t, c, "iot-device", list)
}

// overload is the configuration of these tests.
const overload = "[flow]\nshards = 1\nretention = \"10s\"\n[labels]\nmax_size = \"16MiB\"\nkeep = 1"

// point is what was measured at a multiple of the rate that can be sustained.
type point struct {
	factor, sustained float64
	measured
}

func quality(t *testing.T, c *changing, name string, list []dataset.Capture) {
	during := 2 * time.Second
	if *full {
		during = 15 * time.Second
	}
	b, err := bundle.Open(c.dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stages, flows := b.Packet.Stages, recorded(t, list, b)
	first, last := stages[0].Name, stages[len(stages)-1].Name
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(flows), func(i, k int) { flows[i], flows[k] = flows[k], flows[i] })

	alone := newChanging(t, c.dir, overload)
	alone.rewrite(func(m *bundle.Manifest, files map[string][]byte) {
		for _, dropped := range m.Packet.Stage[1:] { // files that no stage names are refused
			if !slices.ContainsFunc(m.Meta.Stage, func(s bundle.Stage) bool { return s.Model == dropped.Model }) {
				delete(files, dropped.Model)
				delete(files, dropped.Model+bundle.GoldenSuffix)
			}
		}
		m.Packet.Stage, m.Packet.Reference = m.Packet.Stage[:1], nil
		m.Packet.Stage[0].Thresholds = []float32{0}
	})
	s := alone.start()
	fast := alone.generate(wire.Hello{Sensor: "capture", Capture: true}, flows, first).each(len(flows))
	s.stop()

	s = c.start()
	whole := c.generate(wire.Hello{Sensor: "capture", Capture: true}, flows, first).each(len(flows))
	t.Logf("%d flows of %d captures: macro F1 %.3f and %.1f %% right by %s alone, %.3f and %.1f %% by the cascade",
		len(flows), len(list), fast.macroF1(), 100*fast.right(), first, whole.macroF1(), 100*whole.right())

	g := c.generate(wire.Hello{Sensor: "office"}, flows, first)
	g.run(c.sustained(flows, 1000)/4, time.Second)
	var points []point
	for _, factor := range []float64{.25, 1, 1.5, 2, 3} {
		p := point{factor: factor, sustained: c.sustained(flows, 2000)}
		p.measured = g.run(factor*p.sustained, during)
		recovered := s.awaitSteady()
		points = append(points, p)
		t.Logf("%.2f times %.0f flows/s: macro F1 %.3f, %.1f %% right; %v; steady after %v",
			factor, p.sustained, p.macroF1(), 100*p.right(), p.measured, recovered.Round(time.Millisecond))
		if p.labelled != p.flows {
			t.Errorf("%d labels of %d flows", p.labelled, p.flows)
		}
		if p.macroF1() < fast.macroF1() || p.right() < fast.right() {
			t.Errorf("at %.2f times the rate, the labels are worse than those of %s alone", factor, first)
		}
		if p.stages[last] == 0 {
			t.Errorf("at %.2f times the rate, %s was not asked any more", factor, last)
		}
	}
	if calm := points[0]; calm.macroF1() < (fast.macroF1()+whole.macroF1())/2 {
		t.Errorf("without load, macro F1 is %.3f", calm.macroF1())
	}
	s.stop()
	if *full {
		draw(t, name, fast, whole, points)
	}
}

// draw writes what was measured to a page of its own.
func draw(t *testing.T, name string, fast, whole measured, points []point) {
	t.Helper()
	table := [][]string{{"times the sustained rate", "flows/s", "macro F1", "right", "relaxed", "shed", "fast stage p50", "p99"}}
	line := func(title string, of func(*measured) float64) report.Series {
		s := report.Series{Name: title}
		for i := range points {
			s.Points = append(s.Points, report.Point{X: points[i].factor, Y: of(&points[i].measured)})
		}
		return s
	}
	level := func(title string, v float64) report.Series {
		return report.Series{Name: title, Mark: report.Dashes, Points: []report.Point{{X: 0, Y: v}, {X: points[len(points)-1].factor, Y: v}}}
	}
	for _, p := range points {
		table = append(table, []string{
			fmt.Sprintf("%.2f", p.factor), fmt.Sprintf("%.0f", p.factor*p.sustained), fmt.Sprintf("%.3f", p.macroF1()),
			fmt.Sprintf("%.1f %%", 100*p.right()),
			fmt.Sprintf("%.1f %%", 100*p.share(p.reasons["relaxed"])), fmt.Sprintf("%.1f %%", 100*p.share(p.reasons["shed"])),
			p.at(.5).String(), p.at(.99).String(),
		})
	}
	page := report.Page{
		Title: name + " under load",
		Lead:  []string{"Labels compared with the truth, by the rate of new flows as a multiple of what can be sustained."},
		Parts: []report.Part{{Sections: []report.Section{{Table: table, Draw: []report.Drawing{
			&report.Plot{X: "times the sustained rate", Y: "macro F1", ToY: 1, Series: []report.Series{
				line("measured", (*measured).macroF1), level("the cascade without load", whole.macroF1()), level("its first stage alone", fast.macroF1())}},
			&report.Plot{X: "times the sustained rate", Y: "share of flows", ToY: 1, Series: []report.Series{
				line("right", (*measured).right),
				line("relaxed", func(m *measured) float64 { return m.share(m.reasons["relaxed"]) }),
				line("shed", func(m *measured) float64 { return m.share(m.reasons["shed"]) })}},
		}}}}},
	}
	writePage(t, &page, "load-"+name+".html")
}

// writePage writes a page into build.
func writePage(t *testing.T, page *report.Page, name string) {
	t.Helper()
	path := filepath.Join(root, "build", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("drawn in build/%s", name)
}
