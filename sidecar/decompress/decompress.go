// Package decompress reads files that may be compressed with gzip or zstd.
package decompress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory of a zstd stream: the window of "zstd --long".
const maxWindow = 128 << 20

// Reader reads the decompressed content of a file. Compression is recognised by the
// first bytes. The file may have several gzip members or zstd frames, one after the
// other, and be padded with zeros at its end, as tapes and block devices do.
type Reader struct {
	io.Reader
	// Compressed reports whether the file is compressed.
	Compressed bool
	close      func()
}

// New returns a reader of r's content.
func New(r io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(magicLen)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b, 8}): // RFC 1952, method deflate
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		z.Multistream(false)
		return &Reader{&gzipReader{z, b}, true, func() { z.Close() }}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		in := &zeroCounter{in: b}
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return &Reader{&zstdReader{z, in}, true, z.Close}, nil
	}
	return &Reader{b, false, func() {}}, nil
}

// Close frees the decompressor. It does not close the file.
func (r *Reader) Close() { r.close() }

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

// skipZeros skips zeros. It returns io.EOF if nothing else comes.
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

// zstdReader reads the frames of a zstd file. The decoder takes zeros after a frame for
// a broken one.
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

// magicLen is how many bytes identify a format.
const magicLen = 4

// zeroCounter counts the zeros at the end of what was read.
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
