// Package doctor finds what is wrong between an IDS and its sidecar, and says what to
// change.
//
// Everything is looked at from outside, as the command line can: the configuration, the
// sockets, the processes of IDSs and what they may reach, Suricata's own reading of its
// configuration, and what the running sidecar answers over HTTP. Nothing is changed.
package doctor

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/scrape"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/terminal"
)

// Level is how bad a finding is.
type Level int

// Levels. Of Note something works, but could be better or cannot be seen from here.
const (
	OK Level = iota
	Note
	Wrong
)

func (l Level) String() string { return [...]string{"ok", "note", "WRONG"}[l] }

// Finding is what was found of one thing.
type Finding struct {
	Level Level
	Topic string // what was looked at: "socket"
	Text  string // what was found
	Do    string // what to change, in one or more lines; empty if OK
}

// Options are what is looked at.
type Options struct {
	Config  config.Config
	File    string // of the configuration, for messages; empty: defaults
	Bundle  string // name@version of the bundle that the configuration names
	Shadow  string // the same of shadow.bundle; empty: it names none
	Version string // of this program
	Proc    string // where the kernel shows processes: "/proc"
	// Dump has a Suricata print its configuration as it reads it; program and arguments
	// are those of a command. nil: the command is run.
	Dump func(ctx context.Context, program string, args ...string) ([]byte, error)
	Now  func() time.Time
}

// examination is one run.
type examination struct {
	Options
	findings []Finding
	client   *scrape.Client
	health   []string
	status   telemetry.Status
	metrics  scrape.Metrics
	answers  bool // status and metrics are those of a running sidecar
	engines  []process
}

// Examine looks at everything and returns what was found, in the order in which it is
// best mended.
func Examine(ctx context.Context, o Options) []Finding {
	e := &examination{Options: o}
	e.configuration()
	e.sidecar(ctx) // before the sockets, where the doctor's own connections would show
	e.socket("socket", "listen", e.Config.Listen.Socket)
	if e.Config.EVE.Listen != "" {
		e.socket("EVE socket", "eve", e.Config.EVE.Listen)
	}
	e.engines = processes(e.Proc)
	e.reach()
	e.suricata(ctx)
	if e.answers {
		e.taps()
		e.eve()
		e.counters()
		e.drift()
		e.shadow()
	}
	e.host()
	return e.findings
}

func (e *examination) ok(topic, format string, args ...any) {
	e.findings = append(e.findings, Finding{OK, topic, fmt.Sprintf(format, args...), ""})
}

func (e *examination) wrong(topic, text, do string) {
	e.findings = append(e.findings, Finding{Wrong, topic, text, do})
}

func (e *examination) note(topic, text, do string) {
	e.findings = append(e.findings, Finding{Note, topic, text, do})
}

func (e *examination) configuration() {
	file := e.File
	if file == "" {
		file = "defaults"
	}
	e.ok("configuration", "%s, bundle %s", file, e.Bundle)
}

// Write prints findings as a table, and returns how many are wrong.
func Write(w io.Writer, findings []Finding) (wrong int, err error) {
	for _, f := range findings {
		if f.Level == Wrong {
			wrong++
		}
		text := f.Text
		if f.Do != "" {
			text += "\ndo: " + f.Do
		}
		text = strings.ReplaceAll(terminal.Clean(text), "\n", "\n"+strings.Repeat(" ", 24))
		if _, err = fmt.Fprintf(w, "%-6s  %-14s  %s\n", f.Level, f.Topic, text); err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}
