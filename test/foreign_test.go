package test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/models/evaluate"
)

var foreign = flag.Bool("foreign", false, "print the tables of docs/measurements/evaluation.md about foreign networks")

// TestForeign prints, in Markdown, what the shipped bundles do on the calibration and
// test sources of the data folder.
func TestForeign(t *testing.T) {
	if !*foreign {
		t.Skip("prints tables: make evaluation")
	}
	world := worldFolder(t)
	for _, name := range []string{"channel", "iot-device"} {
		var of []*evaluate.Report
		for _, split := range []string{"calibration", "test"} {
			of = append(of, evaluated(t, name, "--manifest", filepath.Join(world, "manifest.csv"),
				"--labels", filepath.Join(world, "labels.toml"), "--split", split))
		}
		t.Log(name)
		foreignFigures(of)
		foreignKinds(of[1])
		foreignSources(of[1])
	}
}

func foreignFigures(of []*evaluate.Report) {
	fmt.Printf("\n| %s | calibration sources | test sources |\n|---|---|---|\n", of[0].Bundle)
	row := func(name string, cell func(*evaluate.Report) string) {
		cells := []string{name}
		for _, r := range of {
			cells = append(cells, cell(r))
		}
		if strings.Join(cells[1:], "") == "" {
			return // the bundle has no label for any of these kinds, or no alarms
		}
		fmt.Printf("| %s |\n", strings.Join(cells, " | "))
	}
	share := func(name string, of func(*evaluate.Report) evaluate.Share) {
		row(name, func(r *evaluate.Report) string { return shareCell(of(r)) })
	}
	row("sources, captures, flows", func(r *evaluate.Report) string {
		return fmt.Sprintf("%d, %d, %d", len(r.OpenSet.Groups), r.OpenSet.All.Captures, r.Flows)
	})
	share("flows of kinds that it knows: right", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.KnownRight })
	share("… `unknown` or background", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.KnownNone })
	share("… another label", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.KnownWrong })
	row("macro F1 over these kinds", func(r *evaluate.Report) string {
		if r.OpenSet.All.KnownRight.Flows == 0 {
			return ""
		}
		return fmt.Sprintf("%.3f", r.Macro)
	})
	alarms := of[1].OpenSet.All.Alarms.Given > 0 || of[0].OpenSet.All.Alarms.Given > 0
	share("background: a label all the same", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.Background })
	share("labels given that are right", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.Precision })
	share("… in real mixtures", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.Natural.Precision })
	share("`accepted` labels that are wrong", func(r *evaluate.Report) evaluate.Share { return r.OpenSet.All.AcceptWrong })
	if !alarms {
		return
	}
	row("false alarms of 10,000 ordinary flows, in real mixtures", func(r *evaluate.Report) string {
		a := &r.OpenSet.Natural.Alarms
		return fmt.Sprintf("%.1f (%.1f), in %d of %d captures", a.Per10000, a.Per10000ByCapture, a.CapturesFalse, a.Captures)
	})
	row("alarms given in real mixtures, right", func(r *evaluate.Report) string {
		a := &r.OpenSet.Natural.Alarms
		return fmt.Sprintf("%d, %d", a.Given, a.Right)
	})
	row("flows that alarms are meant for: named right, any alarm", func(r *evaluate.Report) string {
		a := &r.OpenSet.All.Alarms
		return fmt.Sprintf("%d: %d, %d", a.Meant, a.MeantRight, a.MeantAlarm)
	})
}

func foreignKinds(r *evaluate.Report) {
	fmt.Printf("\n| kind, test sources | flows | captures | right | unknown | given instead |\n|---|---|---|---|---|---|\n")
	for _, k := range r.Kinds {
		name := k.Label
		if !k.Known {
			name += " (background)"
		}
		fmt.Printf("| %s | %d | %d | %.1f %% (%.1f %%) | %.1f %% | %s |\n", name, k.Flows, k.Captures,
			100*k.Right, 100*k.RightByCapture, 100*k.Unknown, evaluate.Most(k.Given, 3))
	}
}

func foreignSources(r *evaluate.Report) {
	fmt.Printf("\n| test source | flows | known: right | background: a label | labels given: right | false alarms |\n|---|---|---|---|---|---|\n")
	for _, g := range r.OpenSet.Groups {
		fmt.Printf("| %s | %d | %s | %s | %s | %d |\n", g.Name, g.Flows, ofCell(g.KnownRight), ofCell(g.Background), ofCell(g.Precision), g.Alarms.False)
	}
	fmt.Println()
}

// shareCell has the share of the flows, and with a vote for each capture.
func shareCell(s evaluate.Share) string {
	if s.Flows == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %% (%.1f %%)", 100*s.ByFlow, 100*s.ByCapture)
}

func ofCell(s evaluate.Share) string {
	if s.Flows == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %% of %d", 100*s.ByFlow, s.Flows)
}
