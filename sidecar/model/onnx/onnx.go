// Package onnx serves neural networks in ONNX form through ONNX Runtime.
//
// A model takes one input, "input" float32[batch, width], and gives one
// output, "probabilities" float32[batch, classes] whose rows sum to one. The
// names of its columns, in order and joined by newlines, stand in its metadata
// under the key "serveflow.columns". Load checks all of that; bytes that are no
// such model are an error.
//
// The runtime is a shared library, loaded when the first model is. It is
// looked for in
//
//   - Options.Library and, where that is empty, $SERVEFLOW_ONNXRUNTIME: the
//     path of the file; no other place is tried then;
//   - lib/ beside the executable;
//   - /usr/lib/serveflow and /usr/local/lib;
//   - build/onnxruntime of the working directory, where `make deps` puts it.
//
// A missing library or one of a version that is too old is an error that
// wraps ErrLibrary. A process loads the library once and keeps it.
//
// The binding needs cgo: built without it, Load returns ErrNoCgo and the rest
// of the program works as ever, on bundles of trees alone.
//
// Each model computes on the goroutine that asks for it, one thread and no
// spinning, so that a sidecar stays within the cores it was given.
package onnx

import "errors"

// Options configure loading, and what is expected of the model.
type Options struct {
	// Library is the path of libonnxruntime.so; empty: the usual places.
	Library string
	// Classes is the number of classes, at least 2. A model with another
	// number is refused.
	Classes int
	// MaxBatch is the largest number of rows in one run, up to 1024; 0 means 32.
	// Score takes any number and splits it.
	MaxBatch int
}

// ErrNoCgo reports that the program was built without cgo.
var ErrNoCgo = errors.New("onnx: this program was built without cgo and cannot load ONNX Runtime: " +
	"use a bundle of trees alone or a build with CGO_ENABLED=1")

// ErrLibrary reports that no usable ONNX Runtime library was found.
var ErrLibrary = errors.New("no usable ONNX Runtime library")
