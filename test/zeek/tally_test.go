package zeek

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"serveflow/test/engine"
)

const vxlan = 4789

// tally counts how Zeek's rows compare with replay's flows.
type tally struct {
	rows, labelled, compared, agreed, unknown int
	empty                                     int // rows without a packet
	reasons, excluded                         map[string]int
	without, disagreed, strange               []string
}

func newTally() *tally { return &tally{reasons: map[string]int{}, excluded: map[string]int{}} }

// add counts the rows of one capture, and what replay says of it.
func (y *tally) add(name string, rows []row, truth []engine.Decision) {
	type key struct {
		id    string
		start int64
	}
	byStart := map[key]engine.Decision{}
	for _, d := range truth {
		byStart[key{d.CommunityID, int64(math.Round(d.Start * 1e6))}] = d
	}
	for _, r := range rows {
		if r.OrigPackets+r.RespPackets == 0 {
			y.empty++ // of broken packets alone: there is nothing to label
			continue
		}
		y.rows++
		if r.Label == "" {
			y.without = append(y.without, fmt.Sprintf("%s: %+v", name, r))
			continue
		}
		y.labelled++
		y.reasons[r.Reason]++
		if r.Label == "unknown" {
			y.unknown++
		}
		packets := r.OrigPackets + r.RespPackets
		want, ok := byStart[key{r.CommunityID, int64(math.Round(r.Start * 1e6))}]
		switch {
		case name == "hard-fragments":
			y.exclude("Zeek reassembles fragments", "%s: %+v", name, r)
		case !ok && r.RespPort == vxlan:
			y.excluded["the tunnel itself, which is no flow to replay"]++
		case !ok:
			y.exclude("replay has no flow that begins there", "%s: %+v", name, r)
		case packets != want.Total && r.Packets != want.Packets:
			y.exclude("Zeek counts other packets to the flow", "%s: %+v, replay %+v", name, r, want)
		default:
			y.compared++
			if r.Label == want.Label && math.Abs(r.Score-want.Score) < 1e-5 {
				y.agreed++
			} else {
				y.disagreed = append(y.disagreed, fmt.Sprintf("%s: %+v, replay %+v", name, r, want))
			}
		}
	}
}

func (y *tally) exclude(why, format string, args ...any) {
	y.excluded[why]++
	y.strange = append(y.strange, fmt.Sprintf(format, args...))
}

func (y *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rows %d, labelled %d, agree %.2f %% of %d", y.rows, y.labelled,
		100*float64(y.agreed)/float64(max(y.compared, 1)), y.compared)
	for _, why := range slices.Sorted(maps.Keys(y.excluded)) {
		fmt.Fprintf(&b, "; %d excluded: %s", y.excluded[why], why)
	}
	if y.empty > 0 {
		fmt.Fprintf(&b, "; %d rows of no packet", y.empty)
	}
	fmt.Fprintf(&b, "; unknown %.1f %%;", 100*float64(y.unknown)/float64(max(y.labelled, 1)))
	for _, reason := range slices.Sorted(maps.Keys(y.reasons)) {
		fmt.Fprintf(&b, " %s %d", reason, y.reasons[reason])
	}
	return b.String()
}

// check wants a label in all but a share of the rows, and replay's wherever both
// saw the same packets.
func (y *tally) check(t *testing.T, without float64) {
	t.Helper()
	for _, s := range y.strange {
		t.Log("not compared: " + s)
	}
	if float64(len(y.without)) > without*float64(y.rows) {
		t.Errorf("%d of %d rows have no label:\n%s", len(y.without), y.rows, strings.Join(y.without, "\n"))
	}
	if len(y.disagreed) > 0 {
		t.Errorf("%d of %d labels are not replay's:\n%s", len(y.disagreed), y.compared, strings.Join(y.disagreed, "\n"))
	}
}
