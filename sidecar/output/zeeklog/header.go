package zeeklog

import (
	"bytes"
	"encoding/hex"
	"slices"
)

// Header is what the header lines of a TSV log say of its rows.
type Header struct {
	Separator, SetSeparator []byte
	Unset, Empty            []byte // what stands for no value, and for one without length
	// Fields are the names of the columns, nil before #fields.
	Fields []string
}

// NewHeader returns the defaults of a header.
func NewHeader() Header {
	return Header{Separator: []byte("\t"), SetSeparator: []byte(","), Unset: []byte("-"), Empty: []byte("(empty)")}
}

// Read reads a header line and returns its name, "#fields" for example. #separator
// begins the header of another log.
func (h *Header) Read(line []byte) (name string) {
	if sep, ok := bytes.CutPrefix(line, []byte("#separator ")); ok {
		*h = NewHeader()
		h.Separator = unescape(sep)
		return "#separator"
	}
	key, rest, _ := bytes.Cut(line, h.Separator)
	switch string(key) {
	case "#set_separator":
		h.SetSeparator = bytes.Clone(rest)
	case "#unset_field":
		h.Unset = bytes.Clone(rest)
	case "#empty_field":
		h.Empty = bytes.Clone(rest)
	case "#fields":
		h.Fields = []string{}
		for _, field := range split(nil, rest, h.Separator) {
			h.Fields = append(h.Fields, string(field))
		}
	}
	return string(key)
}

// Column is the index of a field in a row, -1 if the log does not have it.
func (h *Header) Column(field string) int { return slices.Index(h.Fields, field) }

// Split appends the columns of a row to cols. It returns false if their number
// differs from the header's.
func (h *Header) Split(cols [][]byte, row []byte) ([][]byte, bool) {
	before := len(cols)
	cols = split(cols, row, h.Separator)
	return cols, len(cols)-before == len(h.Fields)
}

// split appends the parts of b between separators to cols.
func split(cols [][]byte, b, sep []byte) [][]byte {
	if len(sep) == 0 {
		return append(cols, b)
	}
	for {
		i := bytes.Index(b, sep)
		if i < 0 {
			return append(cols, b)
		}
		cols = append(cols, b[:i])
		b = b[i+len(sep):]
	}
}

// unescape reads \xHH, as #separator is written, and what cannot stand in a
// column as it is.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	var out []byte
	for len(b) > 0 {
		if len(b) >= 4 && b[0] == '\\' && b[1] == 'x' {
			if c, err := hex.DecodeString(string(b[2:4])); err == nil {
				out = append(out, c[0])
				b = b[4:]
				continue
			}
		}
		out = append(out, b[0])
		b = b[1:]
	}
	return out
}
