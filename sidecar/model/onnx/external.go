//go:build cgo

package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a kind of message in an ONNX file.
type message uint8

const (
	modelMessage message = iota
	trainingMessage
	graphMessage
	functionMessage
	nodeMessage
	attributeMessage
	sparseMessage
	tensorMessage
)

// contents are the fields that lead to tensors, of onnx.proto (IR version 11).
var contents = map[message]map[protowire.Number]message{
	modelMessage:     {7: graphMessage, 20: trainingMessage, 25: functionMessage},
	trainingMessage:  {1: graphMessage, 2: graphMessage},
	graphMessage:     {1: nodeMessage, 5: tensorMessage, 15: sparseMessage},
	functionMessage:  {7: nodeMessage, 11: attributeMessage},
	nodeMessage:      {5: attributeMessage},
	attributeMessage: {5: tensorMessage, 6: graphMessage, 10: tensorMessage, 11: graphMessage, 22: sparseMessage, 23: sparseMessage},
	sparseMessage:    {1: tensorMessage, 2: tensorMessage},
}

// Fields of a tensor that say that its numbers are in another file.
const (
	externalData = 13
	dataLocation = 14
)

// maxDepth is how deep messages may be in each other: graphs in nodes of graphs.
const maxDepth = 64

var errExternal = errors.New("its weights are in another file, which no digest covers: export it as one file")

// checkExternal is an error if a model keeps weights outside itself. ONNX Runtime would
// look for them below the working directory.
func checkExternal(data []byte) error { return walk(data, modelMessage, 0) }

func walk(b []byte, kind message, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("read the model: messages are nested more than %d deep", maxDepth)
	}
	for len(b) > 0 {
		field, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("read the model: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(field, wire, b); n < 0 {
			return fmt.Errorf("read the model: %w", protowire.ParseError(n))
		}
		if kind == tensorMessage && (field == externalData || field == dataLocation && !(n == 1 && b[0] == 0)) {
			return errExternal
		}
		if inner, ok := contents[kind][field]; ok && wire == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			if err := walk(value, inner, depth+1); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}
