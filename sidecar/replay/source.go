package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	packed bool
	file   io.Closer // of Open
	closer []func() error
	err    error
}

// OpenError says why nothing of a capture can be read: it cannot be opened, or
// does not begin as captures do.
type OpenError struct {
	Capture string
	Err     error
}

func (e *OpenError) Error() string {
	why := e.Err
	if file := (*fs.PathError)(nil); errors.As(why, &file) && file.Path == e.Capture {
		why = file.Err
	}
	return fmt.Sprintf("capture %s: %v", e.Capture, why)
}

func (e *OpenError) Unwrap() error { return e.Err }

// Open opens a capture file. A failure is an *OpenError.
func Open(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &OpenError{path, err}
	}
	s, err := NewSource(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.file = f
	s.closer = append(s.closer, f.Close)
	return s, nil
}

// NewSource reads a capture from r, which may be a pipe. name stands in errors,
// of which the first, if it is no capture, is an *OpenError.
func NewSource(r io.Reader, name string) (*Source, error) {
	s := &Source{name: name}
	if err := s.open(r); err != nil {
		s.Close()
		return nil, &OpenError{name, err}
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
		s.closer, s.packed = append(s.closer, func() error { z.Close(); return nil }), true
		r = z
	case magic&magicGzipMask == magicGzip:
		z, err := gzip.NewReader(packed)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		s.closer, s.packed = append(s.closer, z.Close), true
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

// StopError says where and why a capture stops before its end: it is cut or
// damaged, or its storage fails. The packets before are whole.
type StopError struct {
	Capture string
	Packet  int   // number of the packet that cannot be read, from 1
	Byte    int64 // where it begins in the file, unpacked if it is packed
	packed  bool
	Err     error
}

func (e *StopError) Error() string {
	of := ""
	if e.packed {
		of = " of the unpacked file"
	}
	return fmt.Sprintf("capture %s: packet %d, byte %d%s: %v", e.Capture, e.Packet, e.Byte, of, e.Err)
}

func (e *StopError) Unwrap() error { return e.Err }

// Next reads the next packet into rec. It returns io.EOF at the end, and a
// *StopError where the capture stops before. Any error is final.
func (s *Source) Next(rec *Record) error {
	if s.err != nil {
		return s.err
	}
	s.in.record++
	if err := s.format.next(s.in, rec); err != nil {
		s.err = err
		if err != io.EOF {
			s.err = &StopError{Capture: s.name, Packet: s.in.record, Byte: s.in.offset, packed: s.packed, Err: err}
		}
		return s.err
	}
	return nil
}

// interrupt ends a Next that waits for a pipe. It may be called by another
// goroutine.
func (s *Source) interrupt() { s.file.Close() }

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
