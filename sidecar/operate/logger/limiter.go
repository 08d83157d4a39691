package logger

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// The budget of each message: so many lines at once, and one more per interval.
const (
	burst    = 100
	interval = 100 * time.Millisecond
)

// maxMessages bounds how many messages are tracked. The program has some dozens;
// those of a bundle's warnings come from outside.
const maxMessages = 1024

// limiter withholds lines of a message that is over its budget. Messages are
// constant texts; what differs between two events is in the fields.
type limiter struct {
	now      func() time.Time
	mu       sync.Mutex
	messages map[event]*budget
	withheld atomic.Uint64
}

// event is what has a budget: a message at a level, so that an error is not
// withheld because of a frequent message with the same text.
type event struct {
	level   zerolog.Level
	message string
}

type budget struct {
	full     time.Time // when the budget is full again
	withheld uint64    // since the last line
}

func newLimiter() *limiter {
	return &limiter{now: time.Now, messages: map[event]*budget{}}
}

// Run implements zerolog.Hook.
func (l *limiter) Run(e *zerolog.Event, level zerolog.Level, message string) {
	ok, withheld := l.grant(event{level, message})
	switch {
	case !ok:
		e.Discard()
		l.withheld.Add(1)
	case withheld > 0:
		e.Uint64("withheld", withheld)
	}
}

// grant reports whether an event has budget left, and how many of its lines were
// withheld since the last one.
func (l *limiter) grant(what event) (ok bool, withheld uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.messages[what]
	if b == nil {
		if len(l.messages) >= maxMessages {
			clear(l.messages)
		}
		b = &budget{full: now}
		l.messages[what] = b
	}
	if b.full.Before(now) {
		b.full = now
	}
	next := b.full.Add(interval)
	if next.Sub(now) > burst*interval {
		b.withheld++
		return false, 0
	}
	b.full = next
	withheld, b.withheld = b.withheld, 0
	return true, withheld
}
