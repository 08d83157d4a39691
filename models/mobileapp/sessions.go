package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// flow is a line of the data set.
type flow struct {
	App     string    `json:"app"`
	Session string    `json:"session"`
	Start   float64   `json:"t"`   // s since the epoch
	Sizes   []int     `json:"len"` // bytes of payload, negative from the server
	Gaps    []float64 `json:"dt"`  // s since the packet before, 0 for the first
}

// session is the flows of one run of one app, in the order of the data set.
type session struct {
	name, app string
	flows     []flow
}

func readSessions(path string) (sessions []session, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	if sessions, err = parse(z); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sessions, nil
}

func parse(r io.Reader) (sessions []session, err error) {
	at := map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var fl flow
		if err := errors.Join(json.Unmarshal(lines.Bytes(), &fl), fl.check()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		i, ok := at[fl.Session]
		if !ok {
			i = len(sessions)
			at[fl.Session] = i
			sessions = append(sessions, session{name: fl.Session, app: fl.App})
		}
		s := &sessions[i]
		if fl.App != s.app {
			return nil, fmt.Errorf("line %d: session %s is of %s, and here of %s", n, s.name, s.app, fl.App)
		}
		s.flows = append(s.flows, fl)
	}
	return sessions, lines.Err()
}

// check says what of a flow cannot be written as packets.
func (fl *flow) check() error {
	if fl.App == "" || fl.Session == "" || len(fl.Sizes) == 0 || len(fl.Gaps) != len(fl.Sizes) {
		return fmt.Errorf("app %q, session %q, %d sizes, %d gaps", fl.App, fl.Session, len(fl.Sizes), len(fl.Gaps))
	}
	if !(fl.Start >= 0 && fl.Start < math.MaxUint32) {
		return fmt.Errorf("start %v", fl.Start)
	}
	for i, size := range fl.Sizes {
		if size == 0 || size < -maxPayload || size > maxPayload {
			return fmt.Errorf("a packet of %d bytes", size)
		}
		if !(fl.Gaps[i] >= 0 && fl.Gaps[i] < 1e6) {
			return fmt.Errorf("a gap of %v s", fl.Gaps[i])
		}
	}
	return nil
}

// repeats are the beginnings of flows, by app.
type repeats map[string]bool

// beginning is how many sizes must agree.
const beginning = 10

func (r repeats) key(fl *flow) string {
	return fmt.Sprint(fl.App, fl.Sizes[:min(len(fl.Sizes), beginning)])
}

func (r repeats) add(sessions []session) {
	for _, s := range sessions {
		for i := range s.flows {
			r[r.key(&s.flows[i])] = true
		}
	}
}

// without returns the sessions without flows that begin as one of r, and without
// the sessions of which nothing is left.
func (r repeats) without(sessions []session) (novel []session) {
	for _, s := range sessions {
		s.flows = slices.DeleteFunc(slices.Clone(s.flows), func(fl flow) bool { return r[r.key(&fl)] })
		if len(s.flows) > 0 {
			novel = append(novel, s)
		}
	}
	return novel
}
