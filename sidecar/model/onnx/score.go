//go:build cgo

package onnx

import (
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	"serveflow/sidecar/model"
)

// scorer runs batches. Every batch size has its own tensors and binding over the
// same two blocks of memory, made in advance, so that a run allocates nothing on
// the Go side.
type scorer struct {
	network *network
	in, out []float32
	sizes   []batch // sizes[i] runs i+1 rows
}

// batch is what one run of a fixed number of rows needs.
type batch struct {
	in, out *ort.Tensor[float32]
	binding *ort.IoBinding
}

func (n *network) NewScorer() (model.Scorer, error) {
	if n.closed.Load() {
		return nil, errors.New("onnx: the model is closed")
	}
	s := &scorer{
		network: n,
		in:      make([]float32, n.batch*len(n.columns)),
		out:     make([]float32, n.batch*n.classes),
		sizes:   make([]batch, n.batch),
	}
	for i := range s.sizes {
		if err := s.bind(&s.sizes[i], int64(i+1)); err != nil {
			return nil, errors.Join(fmt.Errorf("onnx: prepare a batch of %d rows: %w", i+1, err), s.Close())
		}
	}
	return s, nil
}

func (s *scorer) bind(b *batch, rows int64) (err error) {
	if b.in, err = ort.NewTensor(ort.NewShape(rows, int64(len(s.network.columns))), s.in); err != nil {
		return err
	}
	if b.out, err = ort.NewTensor(ort.NewShape(rows, int64(s.network.classes)), s.out); err != nil {
		return err
	}
	if b.binding, err = s.network.session.CreateIoBinding(); err != nil {
		return err
	}
	return errors.Join(b.binding.BindInput(inputName, b.in), b.binding.BindOutput(outputName, b.out))
}

func (s *scorer) Score(probs, rows []float32, n int) error {
	width, classes := len(s.network.columns), s.network.classes
	if n < 0 || len(rows) != n*width || len(probs) != n*classes {
		return fmt.Errorf("onnx: %d rows of %d columns and %d classes do not fit %d values and %d probabilities",
			n, width, classes, len(rows), len(probs))
	}
	if s.sizes == nil || s.network.closed.Load() {
		return errors.New("onnx: the scorer or its model is closed")
	}
	for n > 0 {
		part := min(n, len(s.sizes))
		copy(s.in, rows[:part*width])
		if err := s.network.session.RunWithBinding(s.sizes[part-1].binding); err != nil {
			return fmt.Errorf("onnx: score %d rows: %w", part, err)
		}
		copy(probs, s.out[:part*classes])
		rows, probs, n = rows[part*width:], probs[part*classes:], n-part
	}
	return nil
}

func (s *scorer) Close() error {
	var errs []error
	for _, b := range s.sizes {
		if b.binding != nil {
			errs = append(errs, b.binding.Destroy())
		}
		for _, t := range []*ort.Tensor[float32]{b.in, b.out} {
			if t != nil {
				errs = append(errs, t.Destroy())
			}
		}
	}
	s.sizes = nil
	return errors.Join(errs...)
}
