package enrich

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"

	"serveflow/sidecar/sink"
)

// The columns that are added, and their types in Zeek.
var (
	mlFields = [...]string{"ml_label", "ml_score", "ml_stage", "ml_pkts", "ml_latency", "ml_model", "ml_reason"}
	mlTypes  = [...]string{"string", "double", "string", "count", "interval", "string", "string"}
)

// table is what the header lines of a Zeek log say of the rows that follow.
type table struct {
	sep, unset, empty []byte
	fields            int // columns of a row; 0 before #fields

	uid, ts, community, proto  int // columns; -1: none
	origH, origP, respH, respP int
	ml                         [len(mlFields)]int // columns that are there already; -1: to be added

	cols [][]byte // of the current row
	ours [len(mlFields)][]byte
	text []byte // what ours point into
}

// newTable returns what holds where a header does not say otherwise.
func newTable() table {
	return table{sep: []byte("\t"), unset: []byte("-"), empty: []byte("(empty)")}
}

// tsv enriches one row of a Zeek log in TSV.
func (e *enricher) tsv(line []byte) []byte {
	t := &e.table
	t.cols = split(t.cols[:0], line, t.sep)
	if len(t.cols) != t.fields {
		e.stats.Broken++
		return line
	}
	var r row
	e.key = t.read(&r, e.key)
	var d *decision
	if r.labelled {
		e.stats.Rows++
		e.stats.Labelled++
	} else {
		d = e.find(&r)
	}
	t.values(e.labels, d)
	return e.build(line, d != nil)
}

// build puts a row together: as it was, with our columns behind, or in their
// places if it has them.
func (e *enricher) build(line []byte, found bool) []byte {
	t := &e.table
	e.buf = e.buf[:0]
	if found && slices.Max(t.ml[:]) >= 0 {
		for i, at := range t.ml {
			if at >= 0 {
				t.cols[at] = t.ours[i]
			}
		}
		for i, col := range t.cols {
			if i > 0 {
				e.buf = append(e.buf, t.sep...)
			}
			e.buf = append(e.buf, col...)
		}
	} else {
		e.buf = append(e.buf, line...)
	}
	for i, at := range t.ml {
		if at < 0 {
			e.buf = append(append(e.buf, t.sep...), t.ours[i]...)
		}
	}
	return e.buf
}

// header reads a header line and returns it with our columns added. A log may
// have several headers, if it is several logs in one.
func (e *enricher) header(line []byte) []byte {
	t := &e.table
	if sep, ok := bytes.CutPrefix(line, []byte("#separator ")); ok {
		*t = newTable()
		t.sep = unescape(sep)
		return line
	}
	name, rest, _ := bytes.Cut(line, t.sep)
	switch string(name) {
	case "#unset_field":
		t.unset = bytes.Clone(rest)
	case "#empty_field":
		t.empty = bytes.Clone(rest)
	case "#fields":
		t.setFields(split(nil, rest, t.sep))
		return e.added(line, mlFields[:])
	case "#types":
		return e.added(line, mlTypes[:])
	}
	return line
}

// added appends to a header line what stands over the columns that are added.
func (e *enricher) added(line []byte, what []string) []byte {
	if e.table.fields == 0 {
		return line
	}
	e.buf = append(e.buf[:0], line...)
	for i, at := range e.table.ml {
		if at < 0 {
			e.buf = append(append(e.buf, e.table.sep...), what[i]...)
		}
	}
	return e.buf
}

func (t *table) setFields(names [][]byte) {
	t.fields = len(names)
	column := func(want string) int {
		return slices.IndexFunc(names, func(name []byte) bool { return string(name) == want })
	}
	t.uid, t.ts, t.community, t.proto = column("uid"), column("ts"), column("community_id"), column("proto")
	t.origH, t.origP, t.respH, t.respP = column("id.orig_h"), column("id.orig_p"), column("id.resp_h"), column("id.resp_p")
	for i, name := range mlFields {
		t.ml[i] = column(name)
	}
}

// read takes what tells of the flow out of the current row. It returns the
// memory the id is in.
func (t *table) read(r *row, key []byte) []byte {
	get := func(at int) []byte {
		if at < 0 || bytes.Equal(t.cols[at], t.unset) {
			return nil
		}
		return t.cols[at]
	}
	if uid := get(t.uid); uid != nil {
		key = append(append(append(key[:0], '"'), uid...), '"')
		r.id = key
	}
	if ts := get(t.ts); ts != nil {
		r.setTime(ts)
	}
	r.community = get(t.community)
	r.proto = get(t.proto)
	r.src, r.sport = get(t.origH), get(t.origP)
	r.dst, r.dport = get(t.respH), get(t.respP)
	r.labelled = get(t.ml[0]) != nil
	return key
}

// values writes the decision's columns; without one they are unset.
func (t *table) values(l *Labels, d *decision) {
	for i := range t.ours {
		t.ours[i] = t.unset
	}
	if d == nil {
		return
	}
	// Pieces of one buffer, cut only when it has stopped growing.
	var ends [len(mlFields)]int
	b := t.text[:0]
	for i := range ends {
		switch i {
		case 0:
			b = t.appendText(b, l.words[d.label].text)
		case 1:
			if finite(d.score) {
				b = appendDouble(b, d.score)
			} else {
				b = append(b, t.unset...)
			}
		case 2:
			b = t.appendText(b, l.words[d.stage].text)
		case 3:
			b = strconv.AppendInt(b, int64(d.packets), 10)
		case 4:
			b = sink.AppendSeconds(b, d.latency)
		case 5:
			b = t.appendText(b, l.words[d.model].text)
		case 6:
			b = t.appendText(b, l.words[d.reason].text)
		}
		ends[i] = len(b)
	}
	t.text = b
	from := 0
	for i, end := range ends {
		t.ours[i] = b[from:end]
		from = end
	}
}

// appendText writes a text as Zeek does: what could be taken for a separator,
// a placeholder, an escape or a line's end is written \xHH. A text that is
// empty is unset.
func (t *table) appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, t.unset...)
	}
	whole := s == string(t.unset) || s == string(t.empty)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f || c == '\\' || i == 0 && whole || bytes.IndexByte(t.sep, c) >= 0 {
			dst = append(dst, '\\', 'x')
			dst = hex.AppendEncode(dst, []byte{c})
			continue
		}
		dst = append(dst, c)
	}
	return dst
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

// unescape reads \xHH, which is how #separator is written.
func unescape(b []byte) []byte {
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
