package groundtruth

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Tally counts what flows of captures were labelled by, and which were not. The
// zero Tally is empty.
type Tally struct {
	by        [InConflict + 1]int
	labels    map[string]map[string]count // by label and split
	unmatched map[string]int
}

// count is of flows, and of the captures that they are in.
type count struct{ flows, captures int }

// Add adds the answer about a flow of a capture, which is of a split. A Tally that
// answers are added to is of one capture.
func (t *Tally) Add(split string, a Answer) {
	t.by[a.By]++
	if a.By == NoRule {
		t.miss(a.Unmatched, 1)
	}
	if a.Label != "" {
		t.count(a.Label, split, 1, 1-min(t.labels[a.Label][split].captures, 1))
	}
}

// Join adds what another Tally has of other captures.
func (t *Tally) Join(other *Tally) {
	for by, n := range other.by {
		t.by[by] += n
	}
	for name, n := range other.unmatched {
		t.miss(name, n)
	}
	for label, splits := range other.labels {
		for split, n := range splits {
			t.count(label, split, n.flows, n.captures)
		}
	}
}

func (t *Tally) miss(name string, flows int) {
	if t.unmatched == nil {
		t.unmatched = map[string]int{}
	}
	t.unmatched[name] += flows
}

func (t *Tally) count(label, split string, flows, captures int) {
	if t.labels == nil {
		t.labels = map[string]map[string]count{}
	}
	of := t.labels[label]
	if of == nil {
		of = map[string]count{}
		t.labels[label] = of
	}
	of[split] = count{of[split].flows + flows, of[split].captures + captures}
}

// Flows is how many flows there are, and how many of them have a label.
func (t *Tally) Flows() (all, labelled int) {
	for by, n := range t.by {
		if all += n; By(by) < NoLog {
			labelled += n
		}
	}
	return all, labelled
}

// mostUnmatched is how many of the names without a rule are shown.
const mostUnmatched = 10

// WriteText tells the counts: what tells the labels, the flows and captures of
// each label in each split, and the most frequent names that no rule is about.
func (t *Tally) WriteText(to io.Writer) error {
	w := new(strings.Builder)
	all, labelled := t.Flows()
	fmt.Fprintf(w, "%d of %d flows have a label: %d by a list, %d by a server's name, %d by DNS, %d by service\n",
		labelled, all, t.by[ByList], t.by[ByName], t.by[ByDNS], t.by[ByService])
	fmt.Fprintf(w, "%d have none: %d in no log, %d without a name or service, %d whose name or service is in no rule, %d in conflict\n",
		all-labelled, t.by[NoLog], t.by[NoName], t.by[NoRule], t.by[InConflict])
	t.writeLabels(w)
	if len(t.unmatched) > 0 {
		fmt.Fprintf(w, "\nin no rule, by flows\n")
	}
	names := slices.SortedFunc(maps.Keys(t.unmatched), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.unmatched[b], t.unmatched[a]), cmp.Compare(a, b))
	})
	for _, name := range names[:min(len(names), mostUnmatched)] {
		fmt.Fprintf(w, "%6d  %s\n", t.unmatched[name], printable(name))
	}
	if more := len(names) - mostUnmatched; more > 0 {
		fmt.Fprintf(w, "        and %d more\n", more)
	}
	_, err := io.WriteString(to, w.String())
	return err
}

// writeLabels writes a table of labels by splits.
func (t *Tally) writeLabels(w io.Writer) {
	if len(t.labels) == 0 {
		return
	}
	splits := map[string]bool{}
	for _, of := range t.labels {
		for split := range of {
			splits[split] = true
		}
	}
	columns := slices.SortedFunc(maps.Keys(splits), func(a, b string) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a, b))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nflows (captures)\t%s\n", strings.Join(columns, "\t"))
	for _, label := range slices.Sorted(maps.Keys(t.labels)) {
		fmt.Fprint(table, label)
		for _, split := range columns {
			n := t.labels[label][split]
			fmt.Fprintf(table, "\t%d (%d)", n.flows, n.captures)
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}

// order puts the splits in the order of their use.
func order(split string) int {
	if i := slices.Index([]string{"train", "calibration", "test"}, split); i >= 0 {
		return i
	}
	return 3
}

// printable keeps what a client sent from writing to a person's terminal.
func printable(name string) string {
	quoted := strconv.Quote(name)
	if len(quoted) == len(name)+2 && quoted[1:len(quoted)-1] == name {
		return name
	}
	return quoted
}
