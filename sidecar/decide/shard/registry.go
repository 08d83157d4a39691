package shard

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// registry numbers sensors. Flow ids of a live sensor name the same flows on all
// its connections and after a reconnect, so it keeps its number. Flow ids of
// captures start over with every run, so each run has its own number while it has
// connections.
type registry struct {
	retention time.Duration // a sensor without connections is remembered for so long
	mu        sync.Mutex
	sensors   map[string]*sensor
	idle      list.List // *sensor without connections, the longest idle first
	used      map[uint32]struct{}
	next      uint32
}

type sensor struct {
	name          string
	liveNumber    *uint32        // number of its live flows
	runs          map[string]run // over captures that have connections
	recentNumbers []uint32       // numbers of its last runs, at most maxRuns
	taps          int            // connections whose last events are not yet handled
	captures      int            // the number of these that read captures
	idleSince     time.Time      // without connections
	idleElem      *list.Element  // in idle, or nil
}

type run struct {
	number      uint32
	connections int
}

// hasNumber reports whether a run with connections has the number.
func (s *sensor) hasNumber(number uint32) bool {
	for _, r := range s.runs {
		if r.number == number {
			return true
		}
	}
	return false
}

const (
	// maxRuns is how many runs over captures are remembered for each sensor, for
	// log records that come after their taps have disconnected.
	maxRuns = 16
	// maxIdle is how many sensors without connections are remembered.
	maxIdle = 1 << 14
)

// connect counts a connection and returns the number of its flows.
func (g *registry) connect(t *Tap, now time.Time) uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire(now)
	s := g.sensors[t.Sensor]
	if s == nil {
		s = &sensor{name: t.Sensor, runs: map[string]run{}}
		if g.sensors == nil {
			g.sensors = map[string]*sensor{}
		}
		g.sensors[t.Sensor] = s
	}
	if s.idleElem != nil {
		g.idle.Remove(s.idleElem)
		s.idleElem = nil
	}
	s.taps++
	if !t.Capture {
		if s.liveNumber == nil {
			n := g.newNumber()
			s.liveNumber = &n
		}
		return *s.liveNumber
	}
	s.captures++
	r, ok := s.runs[t.Run]
	if !ok {
		r.number = g.newNumber()
		s.recentNumbers = append(s.recentNumbers, r.number)
		if len(s.recentNumbers) > maxRuns {
			old := s.recentNumbers[0]
			s.recentNumbers = append(s.recentNumbers[:0], s.recentNumbers[1:]...)
			if !s.hasNumber(old) {
				g.freeNumber(old)
			}
		}
	}
	r.connections++
	s.runs[t.Run] = r
	return r.number
}

// endRun ends a run with the last of its connections. The connection still
// counts, until disconnect.
func (g *registry) endRun(t *Tap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sensors[t.Sensor]
	if r, ok := s.runs[t.Run]; ok && t.Capture {
		if r.connections--; r.connections == 0 {
			delete(s.runs, t.Run)
			if !slices.Contains(s.recentNumbers, r.number) {
				g.freeNumber(r.number)
			}
		} else {
			s.runs[t.Run] = r
		}
	}
}

// disconnect notes that the last events of a connection have been handled.
func (g *registry) disconnect(t *Tap, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sensors[t.Sensor]
	if s.taps--; t.Capture {
		s.captures--
	}
	if s.taps == 0 {
		s.idleSince = now
		s.idleElem = g.idle.PushBack(s)
	}
	g.expire(now)
}

// expire removes sensors that have had no connection for the retention, and the
// oldest beyond maxIdle.
func (g *registry) expire(now time.Time) {
	for e := g.idle.Front(); e != nil; e = g.idle.Front() {
		s := e.Value.(*sensor)
		if g.idle.Len() <= maxIdle && now.Sub(s.idleSince) < g.retention {
			return
		}
		g.idle.Remove(e)
		delete(g.sensors, s.name)
		for _, n := range s.recentNumbers {
			g.freeNumber(n)
		}
		if s.liveNumber != nil {
			g.freeNumber(*s.liveNumber)
		}
	}
}

// newNumber returns a number that no sensor has.
func (g *registry) newNumber() uint32 {
	if g.used == nil {
		g.used = map[uint32]struct{}{}
	}
	for {
		n := g.next
		g.next++
		if _, taken := g.used[n]; !taken {
			g.used[n] = struct{}{}
			return n
		}
	}
}

// freeNumber frees a number. It is given out again after all others.
func (g *registry) freeNumber(n uint32) { delete(g.used, n) }

// numbers are the numbers of a sensor's recent flows.
func (g *registry) numbers(sensor string) (all []uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sensors[sensor]; s != nil {
		all = slices.Clone(s.recentNumbers)
		if s.liveNumber != nil {
			all = append(all, *s.liveNumber)
		}
	}
	return all
}

// taps returns how many connections a sensor has, and whether one of them reads a
// capture.
func (g *registry) taps(sensor string) (n int, capture bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sensors[sensor]; s != nil {
		return s.taps, s.captures > 0
	}
	return 0, false
}
