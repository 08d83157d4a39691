package shard

import (
	"time"

	"serveflow/sidecar/decide/cascade"
)

// admission is the load-shedding level. It follows how long flows wait for slow
// stages: quickly up while the wait is a good part of the deadline, slowly down
// after it has been short for a while, so that it does not oscillate.
//
// At level 0 every stage is used as the bundle says. At levels 1 to maxRelaxLevel
// thresholds of stages before the last are lowered, so that fewer flows go on to
// the next. At shedLevel, flows have already missed the deadline.
type admission struct {
	deadline     time.Duration
	level        int
	levelChanged time.Time // when the level last changed
	lastLongWait time.Time // when the wait was last long
}

// relaxFactors multiply the thresholds at each level.
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

// newAdmission returns an admission at level 0; deadline is the longest that a flow
// may wait for a slow stage.
func newAdmission(deadline time.Duration) admission { return admission{deadline: deadline} }

// Deadline is the longest that a flow may wait for a slow stage.
func (a *admission) Deadline() time.Duration { return a.deadline }

// Level is the level.
func (a *admission) Level() int { return a.level }

// Observe takes how long flows wait for slow stages now, and returns the level.
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

// acceptsRelaxed reports whether a verdict that a stage rejects is acceptable at
// the current level. A class that is never accepted is not.
func (a *admission) acceptsRelaxed(s *cascade.Stage, v cascade.Verdict) bool {
	t := s.Thresholds[v.Class]
	return a.level > 0 && t <= 1 && v.Confidence >= t*relaxFactors[a.level]
}
