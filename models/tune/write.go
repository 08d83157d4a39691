package tune

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"

	"serveflow/sidecar/bundle"
)

// DatasheetFile is the name of a bundle's datasheet.
const DatasheetFile = "DATASHEET.md"

// WriteBundle writes the bundle into dir and checks that it loads.
func (r *Result) WriteBundle(dir string) error {
	m, files := r.bundle()
	if err := substitute(r.Options.WithoutPayload, files); err != nil {
		return err
	}
	if err := bundle.Write(dir, m, files); err != nil {
		return err
	}
	b, err := bundle.Open(dir+"/", r.Options.Bundle)
	if err != nil {
		return err
	}
	return b.Close()
}

// substitute adds the files of the bundle in a directory as those of a substitute.
func substitute(dir string, files map[string][]byte) error {
	if dir == "" {
		return nil
	}
	b, err := bundle.Open(dir+"/", bundle.Options{})
	if err != nil {
		return err
	}
	names := append(slices.Sorted(maps.Keys(b.Manifest.Files)), bundle.ManifestFile)
	if err := b.Close(); err != nil {
		return err
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		files[path.Join(bundle.WithoutPayload, name)] = data
	}
	return nil
}

func (r *Result) bundle() (*bundle.Manifest, map[string][]byte) {
	c := r.Candidates
	m := &bundle.Manifest{
		Name: c.Name, Version: c.Version, Task: c.Task, Labels: c.Labels,
		Alarms: c.Alarms, Background: c.Background, Agrees: c.Agrees, Attack: c.Attack,
		Features: c.Features, Provenance: c.Provenance,
	}
	files := map[string][]byte{CostsFile: r.Costs.encode(), DatasheetFile: []byte(r.datasheet())}
	for _, choice := range r.Choices {
		stages := &m.Packet
		if choice.Events == "meta" {
			stages = &m.Meta
		}
		stages.Reference = choice.Reference
		for _, s := range choice.Final {
			one := choice.Candidates[s.Candidate]
			stages.Stage = append(stages.Stage, bundle.Stage{
				Name: one.Name, Packets: one.Packets, Model: one.Model, Kind: one.Kind,
				Confidence: "max_probability", Thresholds: short(s.Thresholds),
			})
			for _, file := range []string{one.Model, one.Model + bundle.GoldenSuffix} {
				files[file] = c.data[file]
			}
		}
	}
	first := r.Choices[0]
	m.Calibration = bundle.Calibration{Sessions: first.Calibration.Sessions(), Flows: len(first.Calibration.Flows)}
	for _, choice := range r.Choices {
		if len(choice.Alarms) > 0 {
			m.Calibration.Budget, m.Calibration.Delta = rate(r.Options.Limits.Budget), r.Options.Delta
		}
		observed := choice.Calibration.Alarms(choice.Calibration.Run(choice.Models, choice.Final))
		for i, a := range choice.Alarms {
			m.Calibration.Alarms = append(m.Calibration.Alarms, bundle.AlarmCalibration{
				Events: choice.Events, Label: c.Labels[a.Class], Observed: rate(share(observed[i].False, observed[i].Ordinary)),
				Proven: rate(a.Proven), More: a.More, Recall: round(observed[i].Recall, 1e3),
			})
		}
		if !choice.Proved {
			continue
		}
		m.Calibration.Delta = r.Options.Delta
		if choice.Events == "meta" {
			m.Calibration.MetaTargetError = choice.search.Target
		} else {
			m.Calibration.TargetError = choice.search.Target
		}
	}
	return m, files
}

// short is one threshold in place of many that are the same.
func short(thresholds []float32) []float32 {
	for _, t := range thresholds {
		if t != thresholds[0] {
			return thresholds
		}
	}
	return thresholds[:1]
}

// rate is a share as so many of 10,000.
func rate(share float64) float64 { return round(1e4*share, 10) }

func round(v, parts float64) float64 { return math.Round(v*parts) / parts }

func share(n, of int) float64 { return float64(n) / float64(max(of, 1)) }

// percent writes a share.
func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// ms writes a time that may be very short.
func ms(t float64) string {
	switch {
	case t < .1:
		return fmt.Sprintf("%.1f µs", 1e3*t)
	case t < 10:
		return fmt.Sprintf("%.2f ms", t)
	}
	return fmt.Sprintf("%.1f ms", t)
}
