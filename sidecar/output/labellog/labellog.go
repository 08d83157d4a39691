package labellog

import (
	"bytes"
	"strings"
	"sync"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/logfile"
)

// chunk is how many bytes are encoded before they go to the file.
const chunk = 32 << 10

// Log is the file labels.jsonl. Its methods may be called by many
// goroutines at once.
type Log struct {
	*logfile.File
	scratch sync.Pool // *[]byte
}

// Options say how a Log keeps its files.
type Options struct {
	// MaxBytes is the size at which the file is rotated, in bytes; 0: never.
	MaxBytes int64
	// Keep is how many rotated files are kept, as path.1 (the newest) to
	// path.Keep. With 0 the full file is deleted.
	Keep int
	// OnError is called as logfile.Options.OnError is.
	OnError func(error)
}

// Open opens or creates the file at path, as logfile.Open does.
func Open(path string, o Options) (*Log, error) {
	f, err := logfile.Open(path, logfile.Options{
		Name: "label log", Key: "labels.path", MaxBytes: o.MaxBytes, Keep: o.Keep, OnError: o.OnError,
		IsLine: isRecord,
	})
	if err != nil {
		return nil, err
	}
	l := &Log{File: f}
	l.scratch.New = func() any { b := make([]byte, 0, chunk+4096); return &b }
	return l, nil
}

// isRecord reports whether text is the beginning of a line that
// decision.Record.Append writes.
func isRecord(text []byte) bool {
	const ts, sensor = `{"ts":`, `,"sensor":"`
	if len(text) <= len(ts) {
		return strings.HasPrefix(ts, string(text))
	}
	rest, ok := bytes.CutPrefix(text, []byte(ts))
	rest = bytes.TrimLeft(rest, "-0123456789.")
	return ok && (bytes.HasPrefix(rest, []byte(sensor)) || strings.HasPrefix(sensor, string(rest)))
}

// Write appends records. It copies what it needs, does not wait for the disk
// and drops what exceeds the memory bound. After Close everything is dropped.
func (l *Log) Write(recs []decision.Record) {
	buf := l.scratch.Get().(*[]byte)
	b, lines := (*buf)[:0], int64(0)
	for i := range recs {
		b = recs[i].Append(b)
		lines++
		if len(b) >= chunk {
			l.Add(b, lines)
			b, lines = b[:0], 0
		}
	}
	if lines > 0 {
		l.Add(b, lines)
	}
	*buf = b
	l.scratch.Put(buf)
}
