package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A Tally counts how the decisions on an engine's flows compare with those of replay on
// the same capture.
type Tally struct {
	Flows, Labelled, Compared, Agreed, Unknown int
	Reasons, Excluded                          map[string]int
	Disagreed, NotCompared                     []string // one line a flow
}

// NewTally is one that has counted nothing.
func NewTally() Tally { return Tally{Reasons: map[string]int{}, Excluded: map[string]int{}} }

// Label counts the decision on a flow.
func (y *Tally) Label(label, reason string) {
	y.Labelled++
	y.Reasons[reason]++
	if label == "unknown" {
		y.Unknown++
	}
}

// Exclude counts a flow whose decision cannot be compared.
func (y *Tally) Exclude(why, format string, args ...any) {
	y.Excluded[why]++
	y.NotCompared = append(y.NotCompared, fmt.Sprintf(format, args...))
}

// Compare counts a flow whose decision is compared, and whether it is the same.
func (y *Tally) Compare(same bool, format string, args ...any) {
	y.Compared++
	if same {
		y.Agreed++
		return
	}
	y.Disagreed = append(y.Disagreed, fmt.Sprintf(format, args...))
}

func (y *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "flows %d, labelled %d, agree %.2f %% of %d", y.Flows, y.Labelled,
		100*float64(y.Agreed)/float64(max(y.Compared, 1)), y.Compared)
	for _, why := range slices.Sorted(maps.Keys(y.Excluded)) {
		fmt.Fprintf(&b, "; %d excluded: %s", y.Excluded[why], why)
	}
	fmt.Fprintf(&b, "; unknown %.1f %%;", 100*float64(y.Unknown)/float64(max(y.Labelled, 1)))
	for _, reason := range slices.Sorted(maps.Keys(y.Reasons)) {
		fmt.Fprintf(&b, " %s %d", reason, y.Reasons[reason])
	}
	return b.String()
}

// Truth finds replay's decision on a flow by its Community ID and the time of its first
// packet, in microseconds.
type Truth map[flowKey]Decision

type flowKey struct {
	communityID string
	start       int64
}

// NewTruth is that of replay's decisions on a capture.
func NewTruth(decisions []Decision) Truth {
	truth := Truth{}
	for _, d := range decisions {
		truth[flowKey{d.CommunityID, int64(math.Round(d.Start * 1e6))}] = d
	}
	return truth
}

// Find returns the decision on a flow, if replay has the flow.
func (r Truth) Find(communityID string, start time.Time) (Decision, bool) {
	d, ok := r[flowKey{communityID, start.UnixMicro()}]
	return d, ok
}
