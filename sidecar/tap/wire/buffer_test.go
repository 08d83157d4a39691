package wire

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// TestBuffer: every value is written as the msgpack package writes it.
func TestBuffer(t *testing.T) {
	var out buffer
	var wanted bytes.Buffer
	mp := msgpack.NewEncoder(&wanted)
	check := func(value any) {
		t.Helper()
		if !bytes.Equal(out.b, wanted.Bytes()) {
			t.Errorf("%v: %x, want %x", value, out.b, wanted.Bytes())
		}
		out.b = out.b[:0]
		wanted.Reset()
	}
	for shift := range 64 {
		for _, u := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			out.uint(u)
			mp.EncodeUint(u)
			check(u)
			for _, i := range []int64{int64(u), -int64(u), -int64(u) - 1} {
				out.int(i)
				mp.EncodeInt(i)
				check(i)
			}
		}
	}
	for _, n := range []int{0, 1, 31, 32, 255, 256, 2048, math.MaxUint16} {
		s := strings.Repeat("x", n)
		out.text(s)
		mp.EncodeString(s)
		check(n)
		out.bytes([]byte(s))
		mp.EncodeBytesLen(n)
		wanted.WriteString(s)
		check(n)
	}
	for n := range 16 {
		out.array(n)
		mp.EncodeArrayLen(n)
		out.entries(n)
		mp.EncodeMapLen(n)
		check(n)
	}
	for _, f := range []float32{0, 0.75, -1, math.MaxFloat32} {
		out.float32(f)
		mp.EncodeFloat32(f)
		check(f)
	}
	out.nil()
	mp.EncodeNil()
	out.bool(true)
	mp.EncodeBool(true)
	out.bool(false)
	mp.EncodeBool(false)
	check("nil, true, false")
}
