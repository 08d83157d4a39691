package replay

import "time"

// longestGap is the longest pause between two packets that is waited for, in µs
// of packet time. No flow of either IDS is open for longer without packets, and
// far longer ones come from clocks that were set or from captures that were put
// together.
const longestGap = 600 * second

// pace delays events until their time.
type pace struct {
	speed float64 // 0: never
	start time.Time
	first int64 // time of the event that was due at start
	last  int64 // time of the newest event
	steps int   // of the clock, forth by more than longestGap or back by more than stepBack
}

// stepBack is more than packets come out of order, in µs.
const stepBack = second

// wait returns how long to wait for an event of the given time. Waits of less
// than a millisecond are not worth a system call: they add up to the next one.
func (p *pace) wait(ts int64) time.Duration {
	if p.speed <= 0 {
		return 0
	}
	gap := ts - p.last
	switch {
	case p.start.IsZero():
		p.start, p.first, p.last = time.Now(), ts, ts
	case gap > longestGap || gap < -stepBack:
		p.steps++
		p.first += gap // as if there were no time between the two
		p.last = ts
	default:
		p.last = max(p.last, ts)
	}
	due := time.Duration(float64(ts-p.first) / p.speed * float64(time.Microsecond))
	if wait := due - time.Since(p.start); wait >= time.Millisecond {
		return wait
	}
	return 0
}
