package drift

import (
	"testing"
	"time"
)

// TestWatch: drift is reported when it has lasted for an hour, once, and again if it came
// back.
func TestWatch(t *testing.T) {
	const far, near = Alert + .1, Alert - .1
	start := time.Unix(0, 0)
	var w Watch
	for _, look := range []struct {
		minute       int
		score, label float64
		beyond       int
		news         bool
	}{
		{0, far, near, 0, false},
		{30, near, near, 0, false}, // a burst
		{40, near, far, 0, false},
		{200, near, far, 0, false}, // another mix of what is known
		{210, far, far, 0, false},
		{269, far, far, 0, false},
		{270, far, far, 2, true},
		{300, far, near, 1, false},
		{310, near, near, 0, false},
		{320, far, near, 0, false},
		{380, far, near, 1, true},
	} {
		beyond, news := w.Check(start.Add(time.Duration(look.minute)*time.Minute), []Index{{"score", look.score}, {"label", look.label}})
		if len(beyond) != look.beyond || news != look.news {
			t.Errorf("minute %d: %v, news: %v", look.minute, beyond, news)
		}
	}
}
