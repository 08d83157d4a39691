package bundle

import (
	"bytes"
	"fmt"
	"strings"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/onnx"
	"serveflow/sidecar/model/remote"
)

// loader makes the cascades of a bundle from its files. What several stages name is
// loaded once.
type loader struct {
	bundle  *Bundle
	files   map[string][]byte
	options Options
	models  map[[2]string]model.Model // by kind and file
}

func (l *loader) cascade(name string, stages []Stage) (*cascade.Cascade, error) {
	if len(stages) == 0 {
		return nil, nil
	}
	m := l.bundle.Manifest
	masks, err := feature.ParseMasks(m.Features.Masks)
	if err != nil {
		return nil, fmt.Errorf("features.masks: %w", err)
	}
	built := make([]cascade.Stage, len(stages))
	for i, s := range stages {
		if built[i], err = l.stage(s, masks); err != nil {
			return nil, fmt.Errorf("%s.stage[%d] (%s): %w", name, i, s.Model, err)
		}
	}
	c, err := cascade.New(m.Labels, built)
	if err != nil {
		return nil, fmt.Errorf("%s.stage: %w", name, err)
	}
	return c, nil
}

func (l *loader) stage(s Stage, masks feature.Mask) (built cascade.Stage, err error) {
	built = cascade.Stage{
		Name: s.Name, Packets: s.Packets, Thresholds: s.Thresholds, Batched: s.Kind != "lightgbm",
	}
	if built.Model, err = l.model(s); err != nil {
		return built, err
	}
	if built.Plan, err = feature.Compile(built.Model.Columns(), masks); err != nil {
		return built, err
	}
	if built.Measure, err = cascade.ParseMeasure(s.Confidence); err != nil {
		return built, err
	}
	return built, nil
}

func (l *loader) model(s Stage) (model.Model, error) {
	key := [2]string{s.Kind, s.Model}
	if m := l.models[key]; m != nil {
		return m, nil
	}
	m, err := LoadModel(s.Kind, l.files[s.Model], l.files[s.Model+GoldenSuffix], len(l.bundle.Manifest.Labels), l.options)
	if m != nil {
		l.bundle.models = append(l.bundle.models, m)
		l.models[key] = m
	}
	return m, err
}

// LoadModel loads a model of one of the kinds, and checks it against its golden
// rows if there are any. If only these are wrong, the model is returned with the
// error and must be closed.
func LoadModel(kind string, data, golden []byte, classes int, o Options) (model.Model, error) {
	switch kind {
	case "lightgbm":
		return loadTrees(data, golden, classes, o.Warn)
	case "onnx":
		m, err := onnx.Load(data, onnx.Options{Library: o.Library, Classes: classes, MaxBatch: max(o.Batch, 1)})
		if err != nil || golden == nil {
			return m, err
		}
		return m, checkGolden(m, golden)
	case "remote":
		opts := o.Inference
		opts.Classes, opts.Golden, opts.Tolerance = classes, golden, remoteTolerance
		m, err := remote.Load(data, opts)
		if err != nil {
			return nil, err // no *remote.Model that is nil
		}
		return m, nil
	}
	return nil, fmt.Errorf("kind %q: use one of %s", kind, strings.Join(kinds, ", "))
}

// remoteTolerance is how far a probability of a server may be from its golden row:
// servers run other libraries on other processors.
const remoteTolerance = 1e-4

func checkGolden(m model.Model, rows []byte) error {
	return model.CheckGolden(m, bytes.NewReader(rows), goldenTolerance)
}
