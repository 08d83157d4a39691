package enrich

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"serveflow/sidecar/decompress"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/zeeklog"
)

// Stats counts what Enrich did with a log.
type Stats struct {
	Rows          int64 // records of flows: the sum of the next four
	ByID          int64 // labelled by the IDS's own id
	ByCommunityID int64 // labelled by Community ID and start time
	Labelled      int64 // had a label before, left alone
	Unmatched     int64 // no decision found
	Other         int64 // records of no flow, such as EVE's statistics
	Broken        int64 // lines that could not be read, passed on unchanged
}

// String returns the counters as a line for a person.
func (s Stats) String() string {
	return fmt.Sprintf("%d rows: %d labelled by id, %d by community id, %d before, %d without a decision; %d records of no flow, %d broken lines",
		s.Rows, s.ByID, s.ByCommunityID, s.Labelled, s.Unmatched, s.Other, s.Broken)
}

// Enrich copies the log in to out with the decisions added. The first line
// determines the format. After an error the counters show how far it came.
func (l *Labels) Enrich(in io.Reader, out io.Writer) (Stats, error) {
	plain, err := decompress.New(in)
	if err != nil {
		return Stats{}, fmt.Errorf("read log: %w", err)
	}
	defer plain.Close()
	e := enricher{labels: l, out: bufio.NewWriterSize(out, 256<<10), table: newTable()}
	if err := e.copy(jsonl.NewReader(plain)); err != nil {
		e.out.Flush() // what was done so far; the first error is the one that counts
		return e.stats, err
	}
	if err := e.out.Flush(); err != nil {
		return e.stats, fmt.Errorf("write enriched log: %w", err)
	}
	return e.stats, nil
}

// enricher is the state of one Enrich.
type enricher struct {
	labels *Labels
	out    *bufio.Writer
	stats  Stats
	known  bool   // a line was of a known format
	table  table  // Zeek TSV: what the last header said
	buf    []byte // the row being built
	key    []byte
}

func (e *enricher) copy(in *jsonl.Reader) error {
	for {
		line, err := in.Next()
		switch err {
		case nil:
		case io.EOF:
			if !e.known && e.stats.Broken > 0 {
				return zeeklog.ErrFormat
			}
			return nil
		case jsonl.ErrLong:
			e.stats.Broken++
			if err := in.CopyLine(e.out); err != nil {
				return fmt.Errorf("copy a line of over %d bytes: %w", jsonl.MaxLine, err)
			}
			continue
		default:
			return fmt.Errorf("read log: %w", err)
		}
		body, end := jsonl.CutEnd(line)
		if body, err = e.line(body); err != nil {
			return err
		}
		e.out.Write(body)
		if _, err := e.out.Write(end); err != nil {
			return fmt.Errorf("write enriched log: %w", err)
		}
	}
}

// line returns a line as it is to be written.
func (e *enricher) line(line []byte) ([]byte, error) {
	switch {
	case len(line) == 0:
		return line, nil
	case line[0] == '#':
		// A Markdown file and a script have lines with # too.
		e.known = e.known || bytes.HasPrefix(line, []byte("#separator")) || bytes.HasPrefix(line, []byte("#fields"))
		return e.header(line), nil
	case jsonl.FirstByte(line) == '{' && jsonl.Valid(line):
		e.known = true
		return e.json(line), nil
	case len(e.table.Fields) > 0:
		return e.tsv(line), nil
	case !e.known && e.stats.Broken > 0:
		// One torn line may come first, where a log was cut by rotation.
		return nil, zeeklog.ErrFormat
	}
	e.stats.Broken++
	return line, nil
}

// json enriches one object of Zeek or of Suricata.
func (e *enricher) json(line []byte) []byte {
	var r row
	eve := r.readJSON(line)
	if r.labelled {
		e.stats.Rows++
		e.stats.Labelled++
		return line
	}
	d := e.find(&r)
	if d == nil {
		return line
	}
	if r.emptied {
		line = jsonl.Without(nil, line, func(key, _ []byte) bool { return isOurs(key) })
	}
	brace := bytes.LastIndexByte(line, '}')
	e.buf = append(e.buf[:0], line[:brace]...)
	if eve {
		e.buf = e.labels.appendEVE(e.buf, d, r.whole)
	} else {
		e.buf = e.labels.appendZeekJSON(e.buf, d)
	}
	e.buf = append(e.buf, line[brace:]...)
	return e.buf
}

// find returns the decision on a row's flow, or nil, and counts the row.
func (e *enricher) find(r *row) *logged {
	if !r.isFlow() {
		e.stats.Other++
		return nil
	}
	e.stats.Rows++
	if len(r.id) > 0 {
		if d := e.labels.byID.nearest(e.labels, e.labels.hash(r.id), r.start, r.timed); d != nil {
			e.stats.ByID++
			return d
		}
	}
	d := e.byCommunityID(r, r.community)
	if d == nil { // the IDS computes none, or with another seed
		d = e.byCommunityID(r, r.computeCommunityID())
	}
	if d == nil {
		e.stats.Unmatched++
		return nil
	}
	e.stats.ByCommunityID++
	return d
}

func (e *enricher) byCommunityID(r *row, id []byte) *logged {
	if len(id) == 0 || !r.timed {
		return nil
	}
	d := e.labels.byCommunity.nearest(e.labels, e.labels.hash(id), r.start, true)
	if d == nil || abs(d.start-r.start) > Tolerance.Microseconds() {
		return nil
	}
	return d
}

func abs(i int64) int64 {
	if i < 0 {
		return -i
	}
	return i
}
