package replay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Source reads the packets of one capture: pcap (microseconds or nanoseconds,
// either byte order) or pcapng, as it is or packed with gzip or zstd. Which of
// them is told by the first bytes, not by a name.
//
// Captures are not trusted: a Source holds one record of at most MaxRecord
// bytes, 64 MiB of zstd window and a bounded list of pcapng interfaces,
// whatever the file says.
type Source struct {
	in     *input
	format interface{ next(*input, *Record) error }
	name   string
	closer []func() error
	err    error
}

// Open opens a capture file.
func Open(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := NewSource(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.closer = append(s.closer, f.Close)
	return s, nil
}

// NewSource reads a capture from r, which may be a pipe. name stands in errors.
func NewSource(r io.Reader, name string) (*Source, error) {
	s := &Source{name: name}
	if err := s.open(r); err != nil {
		s.Close()
		return nil, fmt.Errorf("capture %s: %w", name, err)
	}
	return s, nil
}

// Magic numbers, as the first four bytes read little-endian.
const (
	magicGzip     = 0x00088b1f // RFC 1952, method deflate; flags follow
	magicGzipMask = 0x00ffffff
	magicZstd     = 0xfd2fb528 // RFC 8878
)

const maxZstdWindow = 64 << 20

func (s *Source) open(r io.Reader) error {
	packed := bufio.NewReaderSize(r, 64<<10)
	magic, err := peekMagic(packed)
	if err != nil {
		return err
	}
	r = packed
	switch {
	case magic == magicZstd:
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		s.closer = append(s.closer, func() error { z.Close(); return nil })
		r = z
	case magic&magicGzipMask == magicGzip:
		z, err := gzip.NewReader(packed)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		s.closer = append(s.closer, z.Close)
		r = z
	}
	s.in = newInput(r)
	switch magic, err := peekMagic(s.in.r); {
	case err != nil:
		return err
	case magic == blockSection:
		s.format = &pcapng{}
		return nil
	default:
		s.format, err = openPcap(s.in)
		return err
	}
}

func peekMagic(r *bufio.Reader) (uint32, error) {
	b, err := r.Peek(4)
	switch {
	case err == io.EOF && len(b) == 0:
		return 0, fmt.Errorf("the file is empty: %w", io.ErrUnexpectedEOF)
	case err == io.EOF:
		return 0, fmt.Errorf("not a capture: only %d bytes: %w", len(b), io.ErrUnexpectedEOF)
	case err != nil:
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// Next reads the next packet into rec. It returns io.EOF at the end. Where the
// capture is cut or damaged it returns an error that says where, after all the
// packets before it; errors.Is(err, io.ErrUnexpectedEOF) tells a capture that
// merely stops too early. Any error is final.
func (s *Source) Next(rec *Record) error {
	if s.err != nil {
		return s.err
	}
	s.in.record++
	if err := s.format.next(s.in, rec); err != nil {
		s.err = err
		if err != io.EOF {
			s.err = fmt.Errorf("capture %s: packet %d, byte %d%s: %w",
				s.name, s.in.record, s.in.offset, s.unpacked(), err)
		}
		return s.err
	}
	return nil
}

func (s *Source) unpacked() string {
	if len(s.closer) > 1 {
		return " of the unpacked file"
	}
	return ""
}

// Close releases the file and the decompressor.
func (s *Source) Close() error {
	var first error
	for _, c := range s.closer {
		if err := c(); err != nil && first == nil {
			first = err
		}
	}
	s.closer = nil
	return first
}
