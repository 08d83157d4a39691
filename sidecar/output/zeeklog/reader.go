package zeeklog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"serveflow/sidecar/decompress"
	"serveflow/sidecar/output/jsonl"
)

// ErrFormat reports that a file is not a log of Zeek.
var ErrFormat = errors.New("neither a Zeek log with its header lines (#separator …, #fields …) nor one JSON object a line (jq -c . makes one line of each object, and jq -c '.[]' of those in an array)")

// Reader reads some fields of the rows of a log. The file may have several logs in
// sequence, also of both formats.
type Reader struct {
	lines  *jsonl.Reader
	done   func()
	header Header
	fields []string
	at     []int // column of each field in TSV, -1: none

	cols   [][]byte
	values [][]byte // of the row, by field; nil: unset
	json   bool     // the row is JSON
	rows   int
	line   int
	broken int
	first  int // the first line that is broken
}

// NewReader returns a reader of the named fields of a log.
func NewReader(r io.Reader, fields ...string) (*Reader, error) {
	plain, err := decompress.New(r)
	if err != nil {
		return nil, err
	}
	return &Reader{
		lines: jsonl.NewReader(plain), done: plain.Close, header: NewHeader(),
		fields: fields, at: slices.Repeat([]int{-1}, len(fields)), values: make([][]byte, len(fields)),
	}, nil
}

// Close frees the decompressor.
func (r *Reader) Close() { r.done() }

// Line is the number of the current row's line, from 1.
func (r *Reader) Line() int { return r.line }

// Broken is the number of lines that were skipped because they are not rows, and
// the number of the first.
func (r *Reader) Broken() (lines, first int) { return r.broken, r.first }

// Next reads the next row. It returns io.EOF at the end, ErrFormat if the file has
// lines but no row of a log, io.ErrUnexpectedEOF if its compressed data is cut, or
// an error of reading. Any error is final.
func (r *Reader) Next() error {
	for {
		line, err := r.lines.Next()
		if err == jsonl.ErrLong {
			r.line++
			r.breaks()
			if err = r.lines.CopyLine(io.Discard); err == nil {
				continue
			}
		}
		if err == io.EOF && r.rows == 0 && r.header.Fields == nil && r.broken > 0 {
			return ErrFormat
		}
		if err != nil {
			return err
		}
		r.line++
		if line, _ = jsonl.CutEnd(line); r.row(line) {
			r.rows++
			return nil
		}
	}
}

// row reads a line, and returns false if it is not a row.
func (r *Reader) row(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	if line[0] == '#' {
		if r.header.Read(line) == "#fields" {
			for i, field := range r.fields {
				r.at[i] = r.header.Column(field)
			}
		}
		return false
	}
	clear(r.values)
	r.json = jsonl.FirstByte(line) == '{'
	switch {
	case r.json && jsonl.Valid(line):
		for key, value := range jsonl.Members(line) {
			if i := r.field(key); i >= 0 {
				r.values[i] = value
			}
		}
		return true
	case !r.json && len(r.header.Fields) > 0:
		whole := false
		if r.cols, whole = r.header.Split(r.cols[:0], line); whole {
			for i, at := range r.at {
				if at >= 0 && !bytes.Equal(r.cols[at], r.header.Unset) {
					r.values[i] = r.cols[at]
				}
			}
			return true
		}
	}
	r.breaks()
	return false
}

// field is the number of the field that a key of JSON names, -1 if it is not read.
// Databases that take no dot in a name have id_orig_h for id.orig_h.
func (r *Reader) field(key []byte) int {
	return slices.IndexFunc(r.fields, func(field string) bool {
		if string(key) == field {
			return true
		}
		id, end, dotted := strings.Cut(field, ".")
		return dotted && len(key) == len(field) && string(key[:len(id)]) == id && key[len(id)] == '_' && string(key[len(id)+1:]) == end
	})
}

func (r *Reader) breaks() {
	if r.broken++; r.broken == 1 {
		r.first = r.line
	}
}

// Text is the value of a field, a number as it is written; nil if it is unset.
// It is valid until the next row.
func (r *Reader) Text(field int) []byte { return r.text(r.values[field]) }

func (r *Reader) text(value []byte) []byte {
	switch {
	case !r.json:
		if bytes.Equal(value, r.header.Empty) {
			return value[:0]
		}
		return unescape(value)
	case jsonl.IsString(value):
		return jsonl.Unquote(value)
	case string(value) == "null":
		return nil
	}
	return value
}

// List are the values of a set or vector, none if it is unset or empty.
func (r *Reader) List(field int) [][]byte {
	value := r.values[field]
	var list [][]byte
	if r.json {
		var members []json.RawMessage
		if json.Unmarshal(value, &members) != nil {
			return nil
		}
		for _, member := range members {
			list = append(list, r.text(member))
		}
		return list
	}
	if value == nil || bytes.Equal(value, r.header.Empty) {
		return nil
	}
	list = split(nil, value, r.header.SetSeparator)
	for i := range list {
		list[i] = r.text(list[i])
	}
	return list
}

// Time is a field's time in µs since the epoch; ok is false if it has none that
// can be read.
func (r *Reader) Time(field int) (us int64, ok bool) { return jsonl.Micros(r.values[field]) }
