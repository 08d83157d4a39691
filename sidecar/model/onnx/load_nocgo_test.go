//go:build !cgo

package onnx

import (
	"errors"
	"testing"
)

func TestLoadSaysThatCgoIsMissing(t *testing.T) {
	if _, err := Load(nil, Options{Classes: 2}); !errors.Is(err, ErrNoCgo) {
		t.Errorf("error %v", err)
	}
}
