package wire

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

func isArray(c byte) bool {
	return msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32
}

func isMap(c byte) bool {
	return msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
}

// array reads the header of an array and returns its length.
func (d *Decoder) array(field string, limit int) int {
	c, ok := d.take(field)
	if !ok {
		return 0
	}
	if !isArray(c) {
		d.malformed(field, notA("an array", c))
		return 0
	}
	at := d.in.offset()
	if msgpcode.IsFixedArray(c) {
		d.in.pos++
		return d.elements(field, at, int(c&msgpcode.FixedArrayMask), limit, nil)
	}
	n, err := d.mp.DecodeArrayLen()
	return d.elements(field, at, n, limit, err)
}

// elements checks a container's length.
func (d *Decoder) elements(field string, at int64, n, limit int, err error) int {
	if err != nil {
		d.fail(err)
		return 0
	}
	if n < 0 || n > limit {
		d.fail(&MalformedError{Offset: at, Field: field, Why: fmt.Sprintf("%d elements, over %d", uint32(n), limit)})
		return 0
	}
	return n
}

// entries reads a map. value reads the value of a known key and returns true;
// others are skipped, as are keys that are not text.
func (d *Decoder) entries(value func(key string) bool) {
	c, ok := d.take("map")
	if !ok {
		return
	}
	if !isMap(c) {
		d.malformed("map", notA("a map", c))
		return
	}
	at := d.in.offset()
	n, err := d.mp.DecodeMapLen()
	n = d.elements("map", at, n, MaxKeys, err)
	outer := d.left
	for ; n > 0 && d.err == nil; n-- {
		d.left = 2
		c, err := d.in.peek()
		if err != nil {
			d.fail(err)
			break
		}
		if isStr(c) {
			if key := string(d.text("key")); d.err == nil && value(key) {
				continue
			}
		} else {
			d.skip()
		}
		d.skip()
	}
	d.left = outer
}

// skip skips one value with everything in it. It is a loop with a count of values
// due, so that nesting costs no memory, and it stops at MaxSkipValues values (which
// bounds the depth too) and MaxSkipBytes bytes of a message.
func (d *Decoder) skip() {
	for due := 1; due > 0 && d.err == nil; due-- {
		if d.skipped.values++; d.skipped.values > MaxSkipValues {
			d.malformed("unknown", fmt.Sprintf("over %d values to skip", MaxSkipValues))
			return
		}
		due += d.skipOne()
	}
}

// skipOne skips one value, or the header of a container, and returns how many
// values are in it.
func (d *Decoder) skipOne() int {
	c, err := d.in.peek()
	if err != nil {
		d.fail(err)
		return 0
	}
	at := d.in.offset()
	left := MaxSkipValues - d.skipped.values
	var n int
	switch {
	case isUnsigned(c) || isSigned(c):
		_, err = d.mp.DecodeInt64()
	case isFloat(c):
		_, err = d.mp.DecodeFloat64()
	case c == msgpcode.Nil || c == msgpcode.False || c == msgpcode.True:
		d.in.pos++
	case isStr(c) || isBin(c):
		if n, err = d.mp.DecodeBytesLen(); err == nil {
			d.skipBytes(at, n)
		}
	case msgpcode.IsExt(c):
		if _, n, err = d.mp.DecodeExtHeader(); err == nil {
			d.skipBytes(at, n)
		}
	case isArray(c):
		n, err = d.mp.DecodeArrayLen()
		return d.elements("unknown", at, n, left, err)
	case isMap(c):
		n, err = d.mp.DecodeMapLen()
		return 2 * d.elements("unknown", at, n, left/2, err)
	default:
		d.malformed("unknown", notA("msgpack", c)) // 0xc1 is never used
	}
	if err != nil {
		d.fail(err)
	}
	return 0
}

func (d *Decoder) skipBytes(at int64, n int) {
	if n < 0 || n > MaxSkipBytes-d.skipped.bytes {
		d.fail(&MalformedError{Offset: at, Field: "unknown", Why: fmt.Sprintf("over %d bytes to skip", MaxSkipBytes)})
		return
	}
	d.skipped.bytes += n
	if err := d.in.discard(n); err != nil {
		d.fail(err)
	}
}
