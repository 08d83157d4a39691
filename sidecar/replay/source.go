package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"serveflow/sidecar/decompress"
)

// Source reads the packets of one capture: pcap (microseconds or nanoseconds,
// either byte order) or pcapng, optionally compressed with gzip or zstd. The format is
// recognised by the first bytes, not by the name.
//
// Captures are not trusted: a Source uses memory for one record of at most MaxRecord
// bytes, the decompressor and a bounded list of pcapng interfaces, whatever the file
// says.
type Source struct {
	in     *input
	format interface{ next(*input, *Record) error }
	name   string
	packed bool
	file   io.Closer // of Open
	closer []func() error
	err    error
}

// OpenError reports a capture of which nothing can be read: it cannot be opened, or
// does not begin as a capture does.
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

// NewSource reads a capture from r, which may be a pipe. name is the name in
// errors; the first error of something that is no capture is an *OpenError.
func NewSource(r io.Reader, name string) (*Source, error) {
	s := &Source{name: name}
	if err := s.open(r); err != nil {
		s.Close()
		return nil, &OpenError{name, err}
	}
	return s, nil
}

func (s *Source) open(r io.Reader) error {
	plain, err := decompress.New(r)
	if err != nil {
		return err
	}
	s.closer = append(s.closer, func() error { plain.Close(); return nil })
	s.packed = plain.Compressed
	s.in = newInput(plain)
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

// StopError reports where and why a capture ends early: it is cut or damaged, or
// its storage fails. The packets before it are whole.
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
// *StopError if the capture ends early. Any error is final.
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
