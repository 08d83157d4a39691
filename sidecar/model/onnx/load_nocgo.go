//go:build !cgo

package onnx

import "serveflow/sidecar/model"

// Load returns ErrNoCgo: this build has no binding to ONNX Runtime.
func Load([]byte, Options) (model.Model, error) { return nil, ErrNoCgo }
