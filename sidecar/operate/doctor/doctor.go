// Package doctor finds what is wrong between an IDS and its sidecar, and says what to
// change.
//
// It examines the installation from outside, with no access that the command line does
// not have: the configuration, the sockets, the processes of IDSs and whether they may
// reach the sockets, the configuration as Suricata itself reads it, and the metrics and
// status of the running sidecar. It changes nothing.
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

// Levels. Note means that it works but could be better, or that doctor cannot tell.
const (
	OK Level = iota
	Note
	Wrong
)

func (l Level) String() string { return [...]string{"ok", "note", "WRONG"}[l] }

// Finding is the result of one check.
type Finding struct {
	Level Level
	Topic string // what was checked, as "socket"
	Text  string // the result
	Do    string // what to change, in one or more lines; empty if OK
}

// Options say what is examined.
type Options struct {
	Config  config.Config
	File    string // name of the configuration file, for messages; empty: defaults
	Bundle  string // name@version of the bundle that the configuration names
	Shadow  string // name@version of shadow.bundle; empty: there is none
	Version string // of this program
	Proc    string // where the kernel shows processes: "/proc"
	// Dump runs a command that has Suricata print its configuration as it reads it, and
	// returns the output. nil: Examine runs the command. Tests replace it.
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

// Examine makes all checks and returns the findings in the order in which to fix them:
// a later one may follow from an earlier one.
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
