package suricata

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"serveflow/test/engine"
)

// tally counts how the decisions on an engine's flows compare with replay's.
type tally struct {
	engine.Tally
	without, twice []string // flows with no decision, and with several
}

func newTally() *tally { return &tally{Tally: engine.NewTally()} }

// add counts the flows of one capture: the engine's, the decisions on them, and
// what replay said of the capture.
func (y *tally) add(t *testing.T, name string, found []flow, made, replayed []engine.Decision) {
	t.Helper()
	byFlow := map[string][]engine.Decision{}
	for _, d := range made {
		byFlow[string(d.Flow)] = append(byFlow[string(d.Flow)], d)
	}
	truth := engine.NewTruth(replayed)
	for _, f := range found {
		y.Flows++
		on := byFlow[f.name()]
		switch {
		case len(on) == 0:
			y.without = append(y.without, fmt.Sprintf("%s: no decision on %+v", name, f))
			continue
		case len(on) > 1:
			y.twice = append(y.twice, fmt.Sprintf("%s: %d decisions on %+v: %+v", name, len(on), f, on))
		}
		d := on[0]
		y.Label(d.Label, d.Reason)
		want, ok := truth.Find(f.CommunityID, f.start(t))
		switch {
		case !ok:
			y.Exclude("replay has no flow that begins there", "%s: replay has no such flow: %+v", name, f)
		case f.packets() != want.Total && d.Packets != want.Packets:
			y.Exclude("the engine counts other packets to the flow", "%s: %d packets against %d: %+v, replay %+v",
				name, f.packets(), want.Total, d, want)
		default:
			y.Compare(d.Label == want.Label && d.Score == want.Score, "%s: %+v, replay %+v", name, d, want)
		}
	}
}

// check wants a decision on all but a share of the flows, none twice, and the
// same as replay's on all but an excluded share.
func (y *tally) check(t *testing.T, without, excluded float64) {
	t.Helper()
	if float64(len(y.without)) > without*float64(y.Flows) || len(y.twice) > 0 || len(y.Disagreed) > 0 ||
		float64(len(y.NotCompared)) > excluded*float64(y.Flows) {
		t.Errorf("of %d flows %d have no decision, %d more than one, %d another than replay's, %d cannot be compared:\n%s",
			y.Flows, len(y.without), len(y.twice), len(y.Disagreed), len(y.NotCompared),
			strings.Join(slices.Concat(y.without, y.twice, y.Disagreed, y.NotCompared), "\n"))
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
