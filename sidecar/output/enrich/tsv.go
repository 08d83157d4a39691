package enrich

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/zeeklog"
)

// The columns that are added, and their types in Zeek.
var (
	mlFields = [...]string{"ml_label", "ml_score", "ml_stage", "ml_pkts", "ml_latency", "ml_model", "ml_reason"}
	mlTypes  = [...]string{"string", "double", "string", "count", "interval", "string", "string"}
)

// table is what the header lines of a Zeek log say of its rows.
type table struct {
	zeeklog.Header

	uid, ts, community, proto  int // columns; -1: none
	origH, origP, respH, respP int
	ml                         [len(mlFields)]int // columns that are there already; -1: to be added

	cols [][]byte // of the current row
	ours [len(mlFields)][]byte
	text []byte // what ours point into
}

// newTable returns the defaults of a header.
func newTable() table {
	return table{Header: zeeklog.NewHeader()}
}

// tsv enriches one row of a Zeek log in TSV.
func (e *enricher) tsv(line []byte) []byte {
	t := &e.table
	whole := false
	if t.cols, whole = t.Split(t.cols[:0], line); !whole {
		e.stats.Broken++
		return line
	}
	var r row
	e.key = t.read(&r, e.key)
	var d *logged
	if r.labelled {
		e.stats.Rows++
		e.stats.Labelled++
	} else {
		d = e.find(&r)
	}
	t.values(e.labels, d)
	return e.build(line, d != nil)
}

// build assembles a row: the original, with our columns after it, or in their
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
				e.buf = append(e.buf, t.Separator...)
			}
			e.buf = append(e.buf, col...)
		}
	} else {
		e.buf = append(e.buf, line...)
	}
	for i, at := range t.ml {
		if at < 0 {
			e.buf = append(append(e.buf, t.Separator...), t.ours[i]...)
		}
	}
	return e.buf
}

// header reads a header line and returns it with our columns added. A log may have
// several headers if it is several logs in one.
func (e *enricher) header(line []byte) []byte {
	switch e.table.Read(line) {
	case "#fields":
		e.table.setColumns()
		return e.added(line, mlFields[:])
	case "#types":
		return e.added(line, mlTypes[:])
	}
	return line
}

// added appends to a header line the entries of the added columns.
func (e *enricher) added(line []byte, what []string) []byte {
	if len(e.table.Fields) == 0 {
		return line
	}
	e.buf = append(e.buf[:0], line...)
	for i, at := range e.table.ml {
		if at < 0 {
			e.buf = append(append(e.buf, e.table.Separator...), what[i]...)
		}
	}
	return e.buf
}

func (t *table) setColumns() {
	t.uid, t.ts, t.community, t.proto = t.Column("uid"), t.Column("ts"), t.Column("community_id"), t.Column("proto")
	t.origH, t.origP, t.respH, t.respP = t.Column("id.orig_h"), t.Column("id.orig_p"), t.Column("id.resp_h"), t.Column("id.resp_p")
	for i, name := range mlFields {
		t.ml[i] = t.Column(name)
	}
}

// read reads the flow's fields from the current row. It returns the memory of the
// id.
func (t *table) read(r *row, key []byte) []byte {
	get := func(at int) []byte {
		if at < 0 || bytes.Equal(t.cols[at], t.Unset) {
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
func (t *table) values(l *Labels, d *logged) {
	for i := range t.ours {
		t.ours[i] = t.Unset
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
				b = append(b, t.Unset...)
			}
		case 2:
			b = t.appendText(b, l.words[d.stage].text)
		case 3:
			b = strconv.AppendInt(b, int64(d.packets), 10)
		case 4:
			b = decision.AppendSeconds(b, d.latency)
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

// appendText writes a text as Zeek does: a byte that could be taken for a
// separator, a placeholder, an escape or a line's end is written \xHH. An empty
// text is unset.
func (t *table) appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, t.Unset...)
	}
	whole := s == string(t.Unset) || s == string(t.Empty)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f || c == '\\' || i == 0 && whole || bytes.IndexByte(t.Separator, c) >= 0 {
			dst = append(dst, '\\', 'x')
			dst = hex.AppendEncode(dst, []byte{c})
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
