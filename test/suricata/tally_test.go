package suricata

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"serveflow/test/engine"
)

// tally counts how the decisions on an engine's flows compare with replay's.
type tally struct {
	flows, labelled, twice, compared, agreed, disagreed, unknown int
	reasons, excluded                                            map[string]int
	examples                                                     []string
}

func newTally() *tally { return &tally{reasons: map[string]int{}, excluded: map[string]int{}} }

// add counts the flows of one capture: the engine's, the decisions on them, and
// what replay said of the capture.
func (y *tally) add(t *testing.T, name string, found []flow, made, truth []engine.Decision) {
	t.Helper()
	byFlow := map[string][]engine.Decision{}
	for _, d := range made {
		byFlow[string(d.Flow)] = append(byFlow[string(d.Flow)], d)
	}
	type key struct {
		id    string
		start int64
	}
	byStart := map[key]engine.Decision{}
	for _, d := range truth {
		byStart[key{d.CommunityID, int64(math.Round(d.Start * 1e6))}] = d
	}
	for _, f := range found {
		y.flows++
		on := byFlow[f.name()]
		switch {
		case len(on) == 0:
			y.example("%s: no decision on %+v", name, f)
			continue
		case len(on) > 1:
			y.twice++
			y.example("%s: %d decisions on %+v: %+v", name, len(on), f, on)
		}
		d := on[0]
		y.labelled++
		y.reasons[d.Reason]++
		if d.Label == "unknown" {
			y.unknown++
		}
		want, ok := byStart[key{f.CommunityID, f.start(t).UnixMicro()}]
		switch {
		case !ok:
			y.excluded["replay has no flow that begins there"]++
			y.example("%s: replay has no such flow: %+v", name, f)
		case f.packets() != want.Total && d.Packets != want.Packets:
			y.excluded["the engine counts other packets to the flow"]++
			y.example("%s: %d packets against %d: %+v, replay %+v", name, f.packets(), want.Total, d, want)
		default:
			y.compared++
			if d.Label == want.Label && d.Score == want.Score {
				y.agreed++
			} else {
				y.disagreed++
				y.example("%s: %+v, replay %+v", name, d, want)
			}
		}
	}
}

func (y *tally) example(format string, args ...any) {
	y.examples = append(y.examples, fmt.Sprintf(format, args...))
}

func (y *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "flows %d, labelled %d, agree %.2f %% of %d", y.flows, y.labelled,
		100*float64(y.agreed)/float64(max(y.compared, 1)), y.compared)
	for _, why := range slices.Sorted(maps.Keys(y.excluded)) {
		fmt.Fprintf(&b, "; %d excluded: %s", y.excluded[why], why)
	}
	fmt.Fprintf(&b, "; unknown %.1f %%;", 100*float64(y.unknown)/float64(max(y.labelled, 1)))
	for _, reason := range slices.Sorted(maps.Keys(y.reasons)) {
		fmt.Fprintf(&b, " %s %d", reason, y.reasons[reason])
	}
	return b.String()
}

// check wants a decision on all but a share of the flows, none twice, and the
// same as replay's on all but an excluded share.
func (y *tally) check(t *testing.T, without, excluded float64) {
	t.Helper()
	out := 0
	for _, n := range y.excluded {
		out += n
	}
	if float64(y.flows-y.labelled) > without*float64(y.flows) || y.twice > 0 || y.disagreed > 0 ||
		float64(out) > excluded*float64(y.flows) {
		t.Errorf("of %d flows %d have no decision, %d more than one, %d another than replay's, %d cannot be compared:\n%s",
			y.flows, y.flows-y.labelled, y.twice, y.disagreed, out, strings.Join(y.examples, "\n"))
	}
}

// starts names the flows of an EVE log, whatever their ids.
func starts(t *testing.T, eve []byte) string {
	t.Helper()
	var all []string
	for _, f := range flows(t, eve) {
		all = append(all, fmt.Sprintln(f.CommunityID, f.Flow.Start, f.packets()))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
