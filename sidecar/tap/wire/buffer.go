package wire

import (
	"encoding/binary"
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// buffer collects one message, each value in its shortest form.
type buffer struct{ b []byte }

func (o *buffer) nil() { o.b = append(o.b, msgpcode.Nil) }

func (o *buffer) bool(v bool) { o.b = append(o.b, pick(v, msgpcode.False, msgpcode.True)) }

func (o *buffer) uint(u uint64) {
	switch {
	case u <= uint64(msgpcode.PosFixedNumHigh):
		o.b = append(o.b, byte(u))
	case u <= math.MaxUint8:
		o.b = append(o.b, msgpcode.Uint8, byte(u))
	case u <= math.MaxUint16:
		o.b = binary.BigEndian.AppendUint16(append(o.b, msgpcode.Uint16), uint16(u))
	case u <= math.MaxUint32:
		o.b = binary.BigEndian.AppendUint32(append(o.b, msgpcode.Uint32), uint32(u))
	default:
		o.b = binary.BigEndian.AppendUint64(append(o.b, msgpcode.Uint64), u)
	}
}

func (o *buffer) int(i int64) {
	switch {
	case i >= 0:
		o.uint(uint64(i))
	case i >= -32:
		o.b = append(o.b, byte(i))
	case i >= math.MinInt8:
		o.b = append(o.b, msgpcode.Int8, byte(i))
	case i >= math.MinInt16:
		o.b = binary.BigEndian.AppendUint16(append(o.b, msgpcode.Int16), uint16(i))
	case i >= math.MinInt32:
		o.b = binary.BigEndian.AppendUint32(append(o.b, msgpcode.Int32), uint32(i))
	default:
		o.b = binary.BigEndian.AppendUint64(append(o.b, msgpcode.Int64), uint64(i))
	}
}

func (o *buffer) float32(f float32) {
	o.b = binary.BigEndian.AppendUint32(append(o.b, msgpcode.Float), math.Float32bits(f))
}

// array and entries begin an array and a map of at most 15 elements.
func (o *buffer) array(n int)   { o.b = append(o.b, msgpcode.FixedArrayLow|byte(n)) }
func (o *buffer) entries(n int) { o.b = append(o.b, msgpcode.FixedMapLow|byte(n)) }

func (o *buffer) text(s string) {
	o.textLen(len(s))
	o.b = append(o.b, s...)
}

func (o *buffer) textLen(n int) {
	switch {
	case n < 32:
		o.b = append(o.b, msgpcode.FixedStrLow|byte(n))
	case n <= math.MaxUint8:
		o.b = append(o.b, msgpcode.Str8, byte(n))
	default:
		o.b = binary.BigEndian.AppendUint16(append(o.b, msgpcode.Str16), uint16(n))
	}
}

func (o *buffer) bytes(b []byte) {
	if n := len(b); n <= math.MaxUint8 {
		o.b = append(o.b, msgpcode.Bin8, byte(n))
	} else {
		o.b = binary.BigEndian.AppendUint16(append(o.b, msgpcode.Bin16), uint16(n))
	}
	o.b = append(o.b, b...)
}
