package eve

import (
	"errors"
	"io"
	"net"

	"serveflow/sidecar/operate/memory"
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

	records, torn uint64 // ever
}

// handOverBytes is how many bytes are gathered before they go to the output.
const handOverBytes = 64 << 10

func newReader(s *Sink, conn io.Reader) *reader {
	return &reader{sink: s, conn: conn, add: s.out.Add}
}

// Read reads from the connection for the reader of lines. It flushes first, because
// the read may block for long.
func (r *reader) Read(b []byte) (int, error) {
	r.flush()
	return r.conn.Read(b)
}

// lineBuffer is the buffer for lines, of which nearly all are far shorter.
const lineBuffer = 64 << 10

// copied is the budget of what is copied once more before it is written.
type copied struct{ *memory.Budget }

func (c copied) Take(n int) bool { return c.Budget.Take(2 * n) }
func (c copied) Give(n int)      { c.Budget.Give(2 * n) }

// run reads until the connection ends. It returns an error unless the connection
// was closed.
func (r *reader) run() error {
	defer r.flush()
	lines := jsonl.NewReaderWithin(r, lineBuffer, copied{r.sink.incoming})
	defer lines.Release()
	for {
		line, err := lines.Next()
		if len(line) > 0 {
			r.handleLine(line)
		}
		if err == jsonl.ErrLong {
			r.count(telemetry.EVETooLong)
			err = lines.CopyLine(io.Discard)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// handleLine handles a line, which at the end of a connection may lack its newline.
func (r *reader) handleLine(line []byte) {
	body, end := jsonl.CutEnd(line)
	switch {
	case valid(body):
		r.handleRecord(body, end)
	case jsonl.FirstByte(body) == '{':
		r.handleCutLine(body, end)
	case len(end) == 0:
		r.countTorn()
	default:
		r.endLine(line, telemetry.EVEOther)
	}
}

// handleCutLine handles a line that is no valid record: one that the end of the
// connection has cut, or a cut record followed by a whole one.
func (r *reader) handleCutLine(body, end []byte) {
	at := nextRecord(body)
	if at > 0 {
		r.handlePart(body[:at], nil)
	}
	r.handlePart(body[at:], end)
}

// handlePart handles a part of a line.
func (r *reader) handlePart(body, end []byte) {
	if valid(body) {
		r.handleRecord(body, end)
	} else {
		r.countTorn()
	}
}

func (r *reader) countTorn() {
	r.torn++
	r.count(telemetry.EVETorn)
}

// newline ends a record without a newline.
var newline = []byte("\n")

// handleRecord handles a record.
func (r *reader) handleRecord(body, end []byte) {
	r.records++
	if len(end) == 0 {
		end = newline
	}
	rec := &r.record
	rec.read(body)
	if !rec.hasFlow || rec.labelled {
		r.out = append(r.out, body...)
		r.endLine(end, telemetry.EVEOther)
		return
	}
	l, words, held := r.sink.labelOrHold(rec, body, end)
	switch {
	case held:
	case words == nil:
		r.out = append(r.out, body...)
		r.endLine(end, telemetry.EVENoLabel)
	default:
		began := len(r.out)
		r.out = rec.splice(r.out, body, &l, words)
		r.sink.labelled(r.out[began:])
		r.endLine(end, telemetry.EVEEnriched)
	}
}

// endLine ends a line of the output and counts its result.
func (r *reader) endLine(rest []byte, result telemetry.Cell) {
	r.out = append(r.out, rest...)
	r.lines++
	r.count(result)
	if len(r.out) >= handOverBytes {
		r.flush()
	}
}

// flush writes the gathered lines to the output.
func (r *reader) flush() {
	if r.lines > 0 {
		r.add(r.out, r.lines)
		if cap(r.out) > 4*handOverBytes { // a record was long
			r.out = nil
		}
		r.out, r.lines = r.out[:0], 0
	}
}

func (r *reader) count(result telemetry.Cell) { r.sink.options.Metrics.Count(result, 1) }
