package wire

import (
	"encoding/binary"
	"io"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// ReadBuffer is how much a Decoder reads from a connection at once, in bytes.
const ReadBuffer = 64 << 10

// reader is the buffer below the msgpack decoder, which uses an io.ByteScanner
// without a buffer of its own, so that the bytes not yet decoded can be counted.
type reader struct {
	src  io.Reader
	buf  []byte
	pos  int   // next byte to return
	end  int   // end of the bytes read
	base int64 // offset in the stream of buf[0]
}

// offset returns the offset in the stream of the next byte.
func (r *reader) offset() int64 { return r.base + int64(r.pos) }

// fill reads more, once everything is consumed. It keeps the last byte for
// UnreadByte.
func (r *reader) fill() error {
	keep := 0
	if r.pos > 0 {
		r.buf[0] = r.buf[r.pos-1]
		r.base += int64(r.pos - 1)
		keep = 1
	}
	r.pos, r.end = keep, keep
	for range 100 {
		n, err := r.src.Read(r.buf[keep:])
		if n > 0 {
			r.end += n
			return nil // an error comes again with the next Read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// peek returns the next byte without consuming it.
func (r *reader) peek() (byte, error) {
	if r.pos == r.end {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	return r.buf[r.pos], nil
}

func (r *reader) ReadByte() (byte, error) {
	c, err := r.peek()
	if err == nil {
		r.pos++
	}
	return c, err
}

// UnreadByte unreads the last byte; it is called after ReadByte only.
func (r *reader) UnreadByte() error {
	r.pos--
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos == r.end {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.pos:r.end])
	r.pos += n
	return n, nil
}

// readFull fills p.
func (r *reader) readFull(p []byte) error {
	for len(p) > 0 {
		n, err := r.Read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// discard skips n bytes.
func (r *reader) discard(n int) error {
	for n > 0 {
		if r.pos == r.end {
			if err := r.fill(); err != nil {
				return err
			}
		}
		k := min(n, r.end-r.pos)
		r.pos += k
		n -= k
	}
	return nil
}

// Most numbers and lengths lie whole in the buffer. The two methods below read
// those; for others, and for what is of another type, they return false and
// read nothing, and the msgpack package does it.

// longest is the most bytes of a number or of the head of a text.
const longest = 9

// unsigned reads an unsigned integer.
func (r *reader) unsigned() (uint64, bool) {
	b := r.buf[r.pos:r.end]
	if len(b) < longest {
		return 0, false
	}
	switch c := b[0]; {
	case c <= msgpcode.PosFixedNumHigh:
		r.pos++
		return uint64(c), true
	case c == msgpcode.Uint8:
		r.pos += 2
		return uint64(b[1]), true
	case c == msgpcode.Uint16:
		r.pos += 3
		return uint64(binary.BigEndian.Uint16(b[1:])), true
	case c == msgpcode.Uint32:
		r.pos += 5
		return uint64(binary.BigEndian.Uint32(b[1:])), true
	case c == msgpcode.Uint64:
		r.pos += longest
		return binary.BigEndian.Uint64(b[1:]), true
	}
	return 0, false
}

// length reads the head of a text or of a binary value.
func (r *reader) length() (int, bool) {
	b := r.buf[r.pos:r.end]
	if len(b) < longest {
		return 0, false
	}
	switch c := b[0]; {
	case msgpcode.IsFixedString(c):
		r.pos++
		return int(c & msgpcode.FixedStrMask), true
	case c == msgpcode.Str8 || c == msgpcode.Bin8:
		r.pos += 2
		return int(b[1]), true
	case c == msgpcode.Str16 || c == msgpcode.Bin16:
		r.pos += 3
		return int(binary.BigEndian.Uint16(b[1:])), true
	}
	return 0, false
}
