package jsonl

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Decompress returns r's content in the clear: what is packed with gzip or zstd
// is recognised by its first bytes. It may be in several pieces, one after the other,
// and padded with zeros at its end, as tapes and block devices do. done frees what it
// took.
func Decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	b := bufio.NewReader(r)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}): // RFC 1952
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		z.Multistream(false)
		return &gzipReader{z, b}, func() { z.Close() }, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		in := &zeroCounter{in: b}
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return &zstdReader{z, in}, z.Close, nil
	}
	return b, func() {}, nil
}

// gzipReader reads the members of a gzip file.
type gzipReader struct {
	member *gzip.Reader
	in     *bufio.Reader
}

func (z *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := z.member.Read(p)
		if n > 0 && err == io.EOF {
			err = nil // another member may follow
		}
		if err != io.EOF {
			return n, err
		}
		if err := skipZeros(z.in); err != nil {
			return 0, err
		}
		if err := z.member.Reset(z.in); err != nil {
			return 0, err
		}
		z.member.Multistream(false)
	}
}

// skipZeros returns io.EOF if nothing else comes.
func skipZeros(in *bufio.Reader) error {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return in.UnreadByte()
		}
	}
}

// zstdReader reads the frames of a zstd file. Where a frame should begin, the
// decoder takes zeros for a broken one.
type zstdReader struct {
	frames *zstd.Decoder
	in     *zeroCounter
}

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.frames.Read(p)
	if errors.Is(err, zstd.ErrMagicMismatch) && z.in.zeros >= magicLen && skipZeros(z.in.in) == io.EOF {
		err = io.EOF
	}
	return n, err
}

// magicLen is how many bytes the decoder looks at to tell a frame.
const magicLen = 4

// zeroCounter counts the zeros that were read last.
type zeroCounter struct {
	in    *bufio.Reader
	zeros int
}

func (c *zeroCounter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	zeros := n - len(bytes.TrimRight(p[:n], "\x00"))
	if zeros == n {
		zeros += c.zeros
	}
	c.zeros = zeros
	return n, err
}
