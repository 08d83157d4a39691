//go:build cgo

package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// in puts a message into fields of messages, the innermost first.
func in(b []byte, fields ...protowire.Number) []byte {
	for _, field := range fields {
		b = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)
	}
	return b
}

// Weights in another file are found wherever a model may have tensors.
func TestExternal(t *testing.T) {
	outside := protowire.AppendVarint(protowire.AppendTag(nil, dataLocation, protowire.VarintType), 1)
	named := in([]byte("weights.bin"), externalData)
	inside := protowire.AppendVarint(protowire.AppendTag(nil, dataLocation, protowire.VarintType), 0)
	deep := outside
	for range maxDepth {
		deep = in(deep, 6, 5, 1)
	}
	for name, c := range map[string]struct {
		model []byte
		want  bool
	}{
		"nothing":                  {nil, false},
		"a tensor of the graph":    {in(outside, 5, 7), true},
		"by its file alone":        {in(named, 5, 7), true},
		"inside":                   {in(inside, 5, 7), false},
		"numbers that look so":     {in(in(outside, 9), 5, 7), false},
		"a constant":               {in(outside, 5, 5, 1, 7), true},
		"one of several":           {in(outside, 10, 5, 1, 7), true},
		"a branch":                 {in(outside, 5, 6, 5, 1, 7), true},
		"a sparse tensor":          {in(outside, 1, 15, 7), true},
		"its indices":              {in(outside, 2, 22, 5, 1, 7), true},
		"a function":               {in(outside, 5, 5, 7, 25), true},
		"after something":          {append(in([]byte("x"), 2), in(outside, 5, 7)...), true},
		"a location of many bytes": {in(append(protowire.AppendTag(nil, dataLocation, protowire.VarintType), 0x81, 0), 5, 7), true},
	} {
		if err := checkExternal(c.model); errors.Is(err, errExternal) != c.want || !c.want && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, model := range map[string][]byte{"cut": in(outside, 5, 7)[:3], "deep": in(deep, 7), "text": []byte("tree\n")} {
		if err := checkExternal(model); err == nil || errors.Is(err, errExternal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	models, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(models) == 0 {
		t.Fatal(models, err)
	}
	for _, path := range models {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkExternal(data); (err != nil) != (path == "testdata/bad-external.onnx") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
