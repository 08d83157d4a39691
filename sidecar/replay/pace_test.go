package replay

import (
	"testing"
	"time"
)

// What a wrong clock says is not waited for, and does not change the pace of what
// follows.
func TestPaceOfAWrongClock(t *testing.T) {
	const year = 365 * 24 * 3600 * second
	p := pace{speed: 10}
	for i, c := range []struct {
		at   int64
		want time.Duration // about
	}{
		{0, 0},
		{10 * second, time.Second},
		{10 * year, time.Second},                     // as the one before it: no wait of its own
		{20 * second, time.Second},                   // the clock is right again
		{30 * second, 2 * time.Second},               //
		{30*second - 100, 2 * time.Second},           // out of order
		{30*second + longestGap, 62 * time.Second},   // a long pause
		{31*second + 2*longestGap, 62 * time.Second}, // too long
	} {
		got := p.wait(c.at)
		if got > c.want || got < c.want-200*time.Millisecond {
			t.Errorf("event %d at %d s: waits %v, want %v", i, c.at/second, got, c.want)
		}
	}
	if p.steps != 3 {
		t.Errorf("%d steps of the clock, want 3", p.steps)
	}
}
