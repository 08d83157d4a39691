package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// logLines are the lines of a process's log, as they come.
type logLines struct {
	mu    sync.Mutex
	lines []map[string]any
	text  bytes.Buffer
}

func (l *logLines) read(r io.Reader) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		var line map[string]any
		err := json.Unmarshal(in.Bytes(), &line)
		l.mu.Lock()
		if err == nil {
			l.lines = append(l.lines, line)
		}
		l.text.Write(in.Bytes())
		l.text.WriteByte('\n')
		l.mu.Unlock()
	}
}

// String is the end of the log as it was written.
func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.SplitAfter(l.text.String(), "\n")
	return strings.Join(lines[max(len(lines)-50, 0):], "")
}

// find returns the lines with a message whose fields hold the texts: field,
// text, field, text.
func (l *logLines) find(message string, fields ...string) (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		ok := line["message"] == message
		for i := 0; i+1 < len(fields); i += 2 {
			ok = ok && strings.Contains(fmt.Sprint(line[fields[i]]), fields[i+1])
		}
		if ok {
			found = append(found, line)
		}
	}
	return found
}

// logTime is when a line was logged.
func logTime(t testing.TB, line map[string]any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"]))
	if err != nil {
		t.Fatal(err)
	}
	return at
}
