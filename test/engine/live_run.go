package engine

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
)

// A Program is an engine that runs, and the file of what it says.
type Program struct {
	*exec.Cmd
	Said string
}

// StartProgram starts an engine that writes what it says into a file in dir, and returns
// once it says that it is ready.
func StartProgram(t *testing.T, cmd *exec.Cmd, dir, ready string) Program {
	t.Helper()
	p := Program{cmd, filepath.Join(dir, "said")}
	log, err := os.Create(p.Said)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	AwaitText(t, p.Said, ready)
	return p
}

// Text is what the program has said.
func (p Program) Text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.Said)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// LiveRun is what came of an engine's run on the link, with a tap or without.
type LiveRun struct {
	Name                string
	Tapped              bool
	Sent, Seen, Dropped int
	Err                 error // the engine's exit
	Said                string
	Flows               map[string]int // in the engine's log, by tuple and packets
	Phases              Phases
}

// Counts reads the packets that the engine saw and dropped from what it said.
func (r *LiveRun) Counts(said string, counts *regexp.Regexp) {
	r.Said = said
	if m := counts.FindStringSubmatch(said); m != nil {
		r.Seen, _ = strconv.Atoi(m[1])
		r.Dropped, _ = strconv.Atoi(m[2])
	}
}

// CountFlows is how many flows the engine logged.
func (r *LiveRun) CountFlows() (n int) {
	for c := range maps.Values(r.Flows) {
		n += c
	}
	return n
}

// Columns begin the run's line of the table.
func (r *LiveRun) Columns() []string {
	exit := "0"
	if r.Err != nil {
		exit = r.Err.Error()
	}
	columns := []string{r.Name, strconv.Itoa(r.Seen), strconv.Itoa(r.Dropped), exit, strconv.Itoa(r.CountFlows())}
	return append(columns, r.Phases.Columns()...)
}

// liveHeads are the heads of Columns.
const liveHeads = "fault\tpackets\tdropped\texit\tflows\tlabelled before\tduring\tat the end\tback after"

// Check holds a run against one without the tap: whatever happens to the sidecar, the
// engine loses no packet and no flow, and labels come again. broken matches what an
// engine says that is not well; spared: few labels are due before the fault.
func (r *LiveRun) Check(control *LiveRun, broken *regexp.Regexp, spared bool, complain func(format string, args ...any)) {
	if r.Err != nil || r.Dropped > 0 || r.Seen != r.Sent {
		complain("exit %v, %d of %d packets seen, %d dropped:\n%s", r.Err, r.Seen, r.Sent, r.Dropped, r.Said)
	}
	if line := broken.FindString(r.Said); line != "" {
		complain("%s", line)
	}
	if !maps.Equal(r.Flows, control.Flows) {
		complain("%d flows logged, %d without the tap", r.CountFlows(), control.CountFlows())
	}
	if r.Tapped {
		r.Phases.Check(spared, complain)
	}
}

// LiveTable collects runs for a table.
type LiveTable struct {
	text bytes.Buffer
	rows *tabwriter.Writer
}

// NewLiveTable is one with these columns after those of every run.
func NewLiveTable(heads ...string) *LiveTable {
	l := &LiveTable{}
	l.rows = tabwriter.NewWriter(&l.text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(l.rows, strings.Join(append([]string{liveHeads}, heads...), "\t"))
	return l
}

// Add runs the engine, and once more if it dropped packets, as it does on a busy machine.
// live returns the run's part that all engines have, and the other columns.
func (l *LiveTable) Add(t *testing.T, live func() (*LiveRun, []string)) {
	t.Helper()
	for range 2 {
		r, columns := live()
		fmt.Fprintln(l.rows, strings.Join(append(r.Columns(), columns...), "\t"))
		if r.Dropped == 0 {
			return
		}
		t.Logf("%s: %d packets dropped", r.Name, r.Dropped)
	}
}

func (l *LiveTable) String() string {
	l.rows.Flush()
	return l.text.String()
}
