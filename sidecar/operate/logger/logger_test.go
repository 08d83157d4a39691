package logger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a reader that takes everything.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) lines() (all []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil {
			all = append(all, m)
		}
	}
	return all
}

// lost is how many lines are said to be lost.
func (l *lockedBuffer) lost() (sum uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.b.Bytes()) {
		var gap struct{ Lines uint64 }
		if bytes.Contains(line, []byte(`"lines":`)) && json.Unmarshal(line, &gap) == nil { // it is there whole
			sum += gap.Lines
		}
	}
	return sum
}

// A reader that stands still holds nobody up: lines are dropped and counted, and
// when it reads again the log says how many.
func TestReaderStandsStill(t *testing.T) {
	r, w := io.Pipe() // takes nothing until somebody reads
	l := New(w, Options{})
	text := strings.Repeat("x", 1000)
	begin := time.Now()
	const n = 5000
	for i := range n {
		l.Info().Str("text", text).Msg(strings.Repeat("m", i%97)) // within each message's budget
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("logging took %v", took)
	}
	lost := l.Dropped()
	if lost == 0 || lost > n {
		t.Fatalf("%d of %d lines are dropped", lost, n)
	}
	var got lockedBuffer
	go io.Copy(&got, r)
	until := time.Now().Add(10 * time.Second)
	for got.lost() != lost {
		if time.Now().After(until) {
			t.Fatalf("the log says that %d lines are lost, want %d", got.lost(), lost)
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.Close()
	messages := 0
	for _, line := range got.lines() {
		if line["level"] == "info" {
			messages++
		}
	}
	if messages != n-int(lost) {
		t.Errorf("%d lines came and %d are said to be lost, of %d", messages, lost, n)
	}
}

// Close waits a second for a reader, and no longer.
func TestCloseDoesNotWaitForever(t *testing.T) {
	_, w := io.Pipe()
	l := New(w, Options{})
	l.Info().Msg("nobody reads this")
	begin := time.Now()
	l.Close()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// What cannot be written is counted, and what waits at the end is written.
func TestBrokenAndClosed(t *testing.T) {
	l := New(broken{}, Options{})
	l.Info().Msg("one")
	l.Close()
	if n := l.Dropped(); n != 1 {
		t.Errorf("%d lines are counted, want 1", n)
	}
	var got lockedBuffer
	l = New(&got, Options{Level: "debug"})
	l.Debug().Msg("last")
	l.Close()
	l.Info().Msg("too late")
	if all := got.lines(); len(all) != 1 || all[0]["message"] != "last" || l.Dropped() != 1 {
		t.Errorf("written %v, %d dropped", all, l.Dropped())
	}
}

// An event that repeats is withheld past its budget, and others are not.
func TestRepeatsAreLimited(t *testing.T) {
	var got lockedBuffer
	l := New(&got, Options{})
	now := time.Unix(1e9, 0)
	l.repeats.now = func() time.Time { return now }
	for i := range 18_165 {
		l.Warn().Int("pid", i).Msg("connection refused")
	}
	l.Info().Msg("ready")
	l.Error().Msg("connection refused") // at another level
	now = now.Add(interval)
	l.Warn().Int("pid", 99_999).Msg("connection refused")
	l.Close()
	all := got.lines()
	if len(all) != burst+3 || all[burst]["message"] != "ready" {
		t.Fatalf("%d lines, want %d of the event that repeats and 2 others", len(all), burst+1)
	}
	if last := all[burst+2]; last["withheld"] != float64(18_165-burst) || last["pid"] != float64(99_999) {
		t.Errorf("the last line is %v", last)
	}
	if n := l.Dropped(); n != 18_165-burst {
		t.Errorf("%d are counted, want %d", n, 18_165-burst)
	}
}

// The map of messages is bounded, whatever a bundle warns of.
func TestMessagesAreBounded(t *testing.T) {
	l := newLimiter()
	for i := range 10 * maxMessages {
		l.grant(event{message: strings.Repeat("w", i)})
	}
	if len(l.messages) > maxMessages {
		t.Errorf("%d messages are remembered", len(l.messages))
	}
}

// Text from outside does not reach a terminal as it is, wherever it stands.
func TestConsoleIsClean(t *testing.T) {
	var got lockedBuffer
	l := New(&got, Options{Console: true})
	const evil = "\x1b]0;owned\a \u009b31m"
	l.Error().Err(errors.New(evil)).Str("sensor", evil).Msg(evil)
	l.Close()
	if s := got.b.String(); strings.Contains(s, "\x1b]") || strings.ContainsAny(s, "\a\u009b") || !strings.Contains(s, "owned") {
		t.Errorf("the console gets %q", s)
	}
}
