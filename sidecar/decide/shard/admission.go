package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
)

// admission says how far slow stages must be spared. Whoever asks them tells it
// how long flows wait for them, and the level follows: up in quick steps while
// the wait is a good part of the deadline, down in slower ones when it has been
// short for a while, so that it does not swing.
//
// At level 0 every stage is asked as the bundle says. At levels 1 to loosest a
// stage before the last is believed sooner, so that fewer flows go on to the
// next. At shedding, flows have already missed the deadline.
type admission struct {
	deadline     time.Duration
	level        int
	levelChanged time.Time // when the level last changed
	lastLongWait time.Time // when the wait was last not short
}

// relaxFactors is by how much thresholds are multiplied at each level.
var relaxFactors = [...]float32{1, .9, .75, .6, .4, .4}

// The highest level at which nothing is shed, and the one at which something is.
const (
	maxRelaxLevel = len(relaxFactors) - 2
	shedLevel     = len(relaxFactors) - 1
)

// How the level moves.
const (
	raiseInterval  = 10 * time.Millisecond  // at least between two steps up
	lowerAfter     = 250 * time.Millisecond // of short waits before a step down
	lowerAfterShed = 500 * time.Millisecond // before the first step down
)

// newAdmission returns an admission at level 0. A flow is to wait for a slow
// stage for deadline at most.
func newAdmission(deadline time.Duration) admission { return admission{deadline: deadline} }

// Deadline is how long a flow is to wait for a slow stage at most.
func (a *admission) Deadline() time.Duration { return a.deadline }

// Level is the level.
func (a *admission) Level() int { return a.level }

// Observe notes how long flows wait for slow stages now, and returns the level.
func (a *admission) Observe(now time.Time, wait time.Duration) int {
	if wait >= a.deadline/8 {
		a.lastLongWait = now
	}
	switch {
	case wait > a.deadline/4 && a.level < maxRelaxLevel && now.Sub(a.levelChanged) >= raiseInterval:
		a.setLevel(now, a.level+1)
	case a.level > 0:
		calm := lowerAfter
		if a.level == shedLevel {
			calm = lowerAfterShed
		}
		if now.Sub(a.lastLongWait) >= calm && now.Sub(a.levelChanged) >= calm {
			a.setLevel(now, a.level-1)
		}
	}
	return a.level
}

// Shed notes that a flow was shed.
func (a *admission) Shed(now time.Time) {
	a.lastLongWait = now
	if a.level != shedLevel {
		a.setLevel(now, shedLevel)
	}
}

func (a *admission) setLevel(now time.Time, level int) { a.level, a.levelChanged = level, now }

// acceptsRelaxed says whether a verdict that a stage does not accept is good enough at
// the level. A class that is never accepted is not accepted under load either,
// nor is a novel flow.
func (a *admission) acceptsRelaxed(s *cascade.Stage, v cascade.Verdict) bool {
	t := s.Thresholds[v.Class]
	return a.level > 0 && !v.Novel && t <= 1 && v.Confidence >= t*relaxFactors[a.level]
}
