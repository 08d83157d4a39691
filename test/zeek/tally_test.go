package zeek

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"serveflow/test/engine"
)

const vxlan = 4789

// tally counts how Zeek's rows compare with replay's flows.
type tally struct {
	engine.Tally
	empty   int      // rows without a packet
	without []string // rows without a label
}

func newTally() *tally { return &tally{Tally: engine.NewTally()} }

// add counts the rows of one capture, and what replay says of it.
func (y *tally) add(name string, rows []row, replayed []engine.Decision) {
	truth := engine.NewTruth(replayed)
	for _, r := range rows {
		packets := r.OrigPackets + r.RespPackets
		if packets == 0 {
			y.empty++ // of broken packets alone: there is nothing to label
			continue
		}
		y.Flows++
		if r.Label == "" {
			y.without = append(y.without, fmt.Sprintf("%s: %+v", name, r))
			continue
		}
		y.Label(r.Label, r.Reason)
		want, ok := truth.Find(r.CommunityID, r.start())
		switch {
		case name == "hard-fragments":
			y.Exclude("Zeek reassembles fragments", "%s: %+v", name, r)
		case !ok && r.RespPort == vxlan:
			y.Exclude("the tunnel itself, which is no flow to replay", "%s: %+v", name, r)
		case !ok:
			y.Exclude("replay has no flow that begins there", "%s: %+v", name, r)
		case packets != want.Total && r.Packets != want.Packets:
			y.Exclude("Zeek counts other packets to the flow", "%s: %+v, replay %+v", name, r, want)
		default:
			y.Compare(r.Label == want.Label && math.Abs(r.Score-want.Score) < 1e-5, "%s: %+v, replay %+v", name, r, want)
		}
	}
}

// start is the time of the row's first packet, to the microsecond.
func (r *row) start() time.Time { return time.UnixMicro(int64(math.Round(r.Start * 1e6))) }

func (y *tally) String() string {
	s := y.Tally.String()
	if y.empty > 0 {
		s += fmt.Sprintf("; %d rows of no packet", y.empty)
	}
	return s
}

// check wants a label in all but a share of the rows, and replay's wherever both
// saw the same packets.
func (y *tally) check(t *testing.T, without float64) {
	t.Helper()
	for _, s := range y.NotCompared {
		t.Log("not compared: " + s)
	}
	if float64(len(y.without)) > without*float64(y.Flows) {
		t.Errorf("%d of %d rows have no label:\n%s", len(y.without), y.Flows, strings.Join(y.without, "\n"))
	}
	if len(y.Disagreed) > 0 {
		t.Errorf("%d of %d labels are not replay's:\n%s", len(y.Disagreed), y.Compared, strings.Join(y.Disagreed, "\n"))
	}
}
