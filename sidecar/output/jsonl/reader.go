// Package jsonl reads logs with one JSON object per line, such as Suricata's EVE
// and Zeek's in JSON, without decoding them: a line is inspected in place and can
// be copied byte by byte.
//
//	in := jsonl.NewReader(conn)
//	line, err := in.Next()
//	body, end := jsonl.CutEnd(line)
//	if jsonl.Valid(body) && jsonl.FirstByte(body) == '{' {
//		for key, value := range jsonl.Members(body) { … }
//	}
//
// Members, Without, Unquote and IsString need input that Valid accepts; they do not
// check it.
package jsonl

import (
	"bufio"
	"errors"
	"io"
)

// MaxLine bounds the memory a line may take, in bytes. EVE records with packet
// payloads stay far below it.
const MaxLine = 16 << 20

// keepLong is how much memory of long lines is kept for the next one.
const keepLong = 1 << 20

// ErrLong says that the line goes on beyond MaxLine, or beyond what it may take.
var ErrLong = errors.New("line too long")

// Budget is the memory that lines may take beyond the buffer of their reader.
type Budget interface {
	Take(bytes int) bool
	Give(bytes int)
}

// Reader reads lines of any length up to MaxLine.
type Reader struct {
	in     *bufio.Reader
	long   []byte // a line that did not fit into the buffer of in
	budget Budget // nil: as much as there is
	taken  int    // of it
}

// NewReader returns a reader of the lines of r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 256<<10)}
}

// NewReaderWithin returns a reader with a buffer of so many bytes. What is longer takes
// from a budget, until Release.
func NewReaderWithin(r io.Reader, buffer int, b Budget) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, buffer), budget: b}
}

// Release gives back what the last line took. It is called when nothing more is read.
func (r *Reader) Release() {
	if r.taken > 0 {
		r.budget.Give(r.taken)
		r.taken = 0
	}
	if r.long = r.long[:0]; cap(r.long) > keepLong || r.budget != nil {
		r.long = nil
	}
}

// extend adds a part to the long line, unless it takes too much. A part for which the
// budget has no room is lost.
func (r *Reader) extend(part []byte) bool {
	if r.budget != nil {
		if !r.budget.Take(len(part)) {
			return false
		}
		r.taken += len(part)
	}
	r.long = append(r.long, part...)
	return len(r.long) <= MaxLine
}

// Next returns the next line with its end, valid until the next call. The last
// line may have none. After ErrLong, CopyLine must follow.
func (r *Reader) Next() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	r.Release()
	for err == bufio.ErrBufferFull {
		if !r.extend(line) {
			return nil, ErrLong
		}
		line, err = r.in.ReadSlice('\n')
	}
	if len(r.long) > 0 {
		r.long = append(r.long, line...) // which is no more than the buffer
		line = r.long
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	return line, err
}

// CopyLine copies the line that was too long, all of it unless there is a budget, to w.
func (r *Reader) CopyLine(w io.Writer) error {
	if _, err := w.Write(r.long); err != nil {
		return err
	}
	for {
		part, err := r.in.ReadSlice('\n')
		if _, e := w.Write(part); e != nil {
			return e
		}
		if err == io.EOF || err == nil {
			return nil
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// CutEnd parts a line from its end: "\n", "\r\n" or nothing.
func CutEnd(line []byte) (body, end []byte) {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
		if n > 0 && line[n-1] == '\r' {
			n--
		}
	}
	return line[:n], line[n:]
}
