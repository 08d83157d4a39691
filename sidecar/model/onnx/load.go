//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"serveflow/sidecar/model"
)

const (
	inputName    = "input"
	outputName   = "probabilities"
	columnsKey   = "serveflow.columns"
	defaultBatch = 32
	maxBatch     = 1024
	maxBytes     = 256 << 20
	maxWidth     = 1 << 16
)

// Load checks data, an ONNX model, and returns it ready to run.
func Load(data []byte, opts Options) (model.Model, error) {
	batch := opts.MaxBatch
	if batch == 0 {
		batch = defaultBatch
	}
	switch {
	case batch < 1 || batch > maxBatch:
		return nil, fmt.Errorf("onnx: batches of %d rows asked for, must be 1 to %d", opts.MaxBatch, maxBatch)
	case opts.Classes < 2:
		return nil, fmt.Errorf("onnx: %d classes expected, must be at least 2", opts.Classes)
	case len(data) == 0 || len(data) > maxBytes:
		return nil, fmt.Errorf("onnx: a model of %d bytes, must be 1 to %d", len(data), maxBytes)
	}
	if err := checkExternal(data); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if err := initialise(opts.Library); err != nil {
		return nil, err
	}
	width, err := checkSignature(data, opts.Classes)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	session, err := newSession(data)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	n := &network{session: session, classes: opts.Classes, batch: batch}
	if err := n.finish(width); err != nil {
		return nil, errors.Join(fmt.Errorf("onnx: %w", err), n.Close())
	}
	return n, nil
}

// checkSignature checks the names, types and shapes of what goes in and out,
// and returns the width of a row.
func checkSignature(data []byte, classes int) (width int, err error) {
	inputs, outputs, err := ort.GetInputOutputInfoWithONNXData(data)
	if err != nil {
		return 0, fmt.Errorf("read the model: %w", err)
	}
	columns, err := checkMatrix("input", inputs, inputName)
	if err != nil {
		return 0, err
	}
	if columns < 1 || columns > maxWidth {
		return 0, fmt.Errorf("input %q has %d columns, must be a fixed number from 1 to %d", inputName, columns, maxWidth)
	}
	have, err := checkMatrix("output", outputs, outputName)
	if err != nil {
		return 0, err
	}
	if have != int64(classes) {
		return 0, fmt.Errorf("output %q has %d classes, %d are expected", outputName, have, classes)
	}
	return int(columns), nil
}

// checkMatrix checks that there is one tensor, of the name given, float32 with
// a free number of rows, and returns its number of columns (-1: free).
func checkMatrix(kind string, infos []ort.InputOutputInfo, name string) (int64, error) {
	if len(infos) != 1 || infos[0].Name != name {
		names := make([]string, len(infos))
		for i, info := range infos {
			names[i] = info.Name
		}
		return 0, fmt.Errorf("the model has the %ss %q, must have one, %q", kind, names, name)
	}
	info := infos[0]
	if info.OrtValueType != ort.ONNXTypeTensor || info.DataType != ort.TensorElementDataTypeFloat {
		return 0, fmt.Errorf("%s %q is %v of %v, must be a tensor of float32", kind, name, info.OrtValueType, info.DataType)
	}
	if len(info.Dimensions) != 2 || info.Dimensions[0] != -1 {
		return 0, fmt.Errorf("%s %q has the shape %v, must be [batch, columns] with a free batch", kind, name, info.Dimensions)
	}
	return info.Dimensions[1], nil
}

func newSession(data []byte) (session *ort.DynamicAdvancedSession, err error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := errors.Join(
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	); err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	session, err = ort.NewDynamicAdvancedSessionWithONNXData(data, []string{inputName}, []string{outputName}, options)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	return session, nil
}

// network is a loaded model.
type network struct {
	session *ort.DynamicAdvancedSession
	columns []string
	classes int
	batch   int
	closed  atomic.Bool
}

// finish reads the column names and runs the model once.
func (n *network) finish(width int) error {
	columns, err := n.readColumns()
	if err != nil {
		return err
	}
	if len(columns) != width {
		return fmt.Errorf("metadata %s names %d columns, the input has %d", columnsKey, len(columns), width)
	}
	n.columns = columns
	return n.probe()
}

func (n *network) readColumns() (columns []string, err error) {
	metadata, err := n.session.GetModelMetadata()
	if err != nil {
		return nil, fmt.Errorf("read the metadata: %w", err)
	}
	defer func() { err = errors.Join(err, metadata.Destroy()) }()
	value, found, err := metadata.LookupCustomMetadataMap(columnsKey)
	if err != nil {
		return nil, fmt.Errorf("read the metadata: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("the metadata has no %s: export the model with the names of its columns", columnsKey)
	}
	columns = strings.Split(value, "\n")
	seen := make(map[string]bool, len(columns))
	for i, name := range columns {
		if name == "" || seen[name] {
			return nil, fmt.Errorf("metadata %s: column %d (%q) is empty or listed twice", columnsKey, i, name)
		}
		seen[name] = true
	}
	return columns, nil
}

// probe scores two rows of zeros: a model that cannot run, or gives something
// other than probabilities, fails here and not in service.
func (n *network) probe() error {
	const rows = 2
	s, err := n.NewScorer()
	if err != nil {
		return err
	}
	probs := make([]float32, rows*n.classes)
	err = s.Score(probs, make([]float32, rows*len(n.columns)), rows)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	for row := range slices.Chunk(probs, n.classes) {
		sum := 0.0
		for _, p := range row {
			if !(p >= 0) {
				return fmt.Errorf("output %q gives %g for a row of zeros, which is not a probability", outputName, p)
			}
			sum += float64(p)
		}
		if math.Abs(sum-1) > 1e-3 {
			return fmt.Errorf("output %q sums to %g for a row of zeros, must be 1: is the softmax missing?", outputName, sum)
		}
	}
	return nil
}

func (n *network) Columns() []string { return slices.Clone(n.columns) }
func (n *network) Classes() int      { return n.classes }

func (n *network) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	return n.session.Destroy()
}
