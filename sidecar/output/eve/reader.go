package eve

import (
	"errors"
	"io"
	"net"

	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/output/jsonl"
)

// reader reads one connection.
type reader struct {
	sink   *Sink
	conn   io.Reader
	add    func(lines []byte, n int64) // where they go
	record record

	out   []byte // lines to be written
	lines int64  // in out
	counts

	records, torn uint64 // ever
}

// counts are results that are still to be counted.
type counts [telemetry.EVEResults]uint64

// chunk is how many bytes are gathered before they are handed over.
const chunk = 64 << 10

func newReader(s *Sink, conn io.Reader) *reader {
	return &reader{sink: s, conn: conn, add: s.out.Add}
}

// Read reads from the connection for the reader of lines: what was dealt with
// so far is handed over first, for this may take long.
func (r *reader) Read(b []byte) (int, error) {
	r.flush()
	return r.conn.Read(b)
}

// run reads until the connection ends, and returns why if that is not by its
// being closed.
func (r *reader) run() error {
	defer r.flush()
	lines := jsonl.NewReader(r)
	for {
		line, err := lines.Next()
		if len(line) > 0 {
			r.line(line)
		}
		if err == jsonl.ErrLong {
			r.counts[telemetry.EVETooLong]++
			err = lines.CopyLine(io.Discard)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// line deals with a line, which at the end of a connection may have no end.
func (r *reader) line(line []byte) {
	body, end := jsonl.CutEnd(line)
	switch {
	case valid(body):
		r.take(body, end)
	case jsonl.FirstByte(body) == '{':
		r.cut(body, end)
	case len(end) == 0:
		r.tear()
	default:
		r.pass(line, telemetry.EVEOther)
	}
}

// cut deals with a line that is no valid record: one that was cut, by the end of
// the connection or in front of the one that the line ends with.
func (r *reader) cut(body, end []byte) {
	at := part(body)
	if at > 0 {
		r.piece(body[:at], nil)
	}
	r.piece(body[at:], end)
}

// piece deals with a part of a line.
func (r *reader) piece(body, end []byte) {
	if valid(body) {
		r.take(body, end)
	} else {
		r.tear()
	}
}

func (r *reader) tear() {
	r.torn++
	r.counts[telemetry.EVETorn]++
}

// newline ends a record whose own end has not come.
var newline = []byte("\n")

// take deals with a record.
func (r *reader) take(body, end []byte) {
	r.records++
	if len(end) == 0 {
		end = newline
	}
	rec := &r.record
	rec.read(body)
	if !rec.of || rec.labelled {
		r.out = append(r.out, body...)
		r.pass(end, telemetry.EVEOther)
		return
	}
	l, words, held := r.sink.find(rec, body, end)
	switch {
	case held:
	case words == nil:
		r.out = append(r.out, body...)
		r.pass(end, telemetry.EVENoLabel)
	default:
		r.out = rec.splice(r.out, body, &l, words)
		r.pass(end, telemetry.EVEEnriched)
	}
}

// pass ends a line that is to be written.
func (r *reader) pass(rest []byte, result telemetry.EVE) {
	r.out = append(r.out, rest...)
	r.lines++
	r.counts[result]++
	if len(r.out) >= chunk {
		r.flush()
	}
}

// flush hands over what was gathered.
func (r *reader) flush() {
	if r.lines > 0 {
		r.add(r.out, r.lines)
		if cap(r.out) > 4*chunk { // a record was long
			r.out = nil
		}
		r.out, r.lines = r.out[:0], 0
	}
	for result, n := range r.counts {
		if n > 0 {
			r.sink.options.Metrics.EVERecords(telemetry.EVE(result), n)
			r.counts[result] = 0
		}
	}
}
