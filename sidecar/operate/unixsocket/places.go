package unixsocket

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Places are the connections that a socket may have at a time, shared fairly: as long
// as there is room anyone gets a place. When there is none, a newcomer gets one of the
// user who has the most, or of the process of its own user that has the most, if
// that leaves them with no fewer than the newcomer has; otherwise that of a connection
// that has long been silent. So no user and no process keeps the others out.
type Places struct {
	max int

	mu    sync.Mutex
	taken map[*Place]struct{}
}

// Place is one connection's.
type Place struct {
	places *Places
	owner  owner
	giveUp func()
	heard  atomic.Int64 // when something came over it last, in ns since begun
}

// owner is a process, as the kernel names it when it connects.
type owner struct {
	uid uint32
	pid int
}

// begun is what silence is measured from, on the monotonic clock.
var begun = time.Now()

// longSilent is how long a connection must have been silent to lose its place to one
// of a user and process that has as many.
const longSilent = 10 * time.Second

// NewPlaces returns places for so many connections.
func NewPlaces(max int) *Places { return &Places{max: max, taken: map[*Place]struct{}{}} }

// Take takes a place for a connection of a process. giveUp is called, by a goroutine
// of its own, if the connection has to leave it to another; the place is free then,
// and Leave does nothing. The error says that there is no place.
func (s *Places) Take(pid int, uid uint32, giveUp func()) (*Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Place{places: s, owner: owner{uid, pid}, giveUp: giveUp}
	p.Heard()
	if len(s.taken) >= s.max {
		last := s.spare(p)
		if last == nil {
			return nil, fmt.Errorf("%d connections are open", len(s.taken))
		}
		delete(s.taken, last)
		go last.giveUp()
	}
	s.taken[p] = struct{}{}
	return p, nil
}

// Heard notes that something came over the connection.
func (p *Place) Heard() { p.heard.Store(int64(time.Since(begun))) }

// Leave frees the place.
func (p *Place) Leave() {
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	delete(p.places.taken, p)
}

// spare is the place to be given to a newcomer, nil if there is none.
func (s *Places) spare(newcomer *Place) *Place {
	users, processes := map[uint32]int{}, map[owner]int{}
	for p := range s.taken {
		users[p.owner.uid]++
		processes[p.owner]++
	}
	user, most := newcomer.owner.uid, users[newcomer.owner.uid]+1
	for uid, n := range users {
		if n > most {
			user, most = uid, n
		}
	}
	own := user == newcomer.owner.uid
	process, most := newcomer.owner, 0
	if own {
		most = processes[newcomer.owner] + 1
	}
	for o, n := range processes {
		if o.uid == user && n > most {
			process, most = o, n
		}
	}
	among := func(o owner) bool { return o == process }
	silence := time.Duration(0)
	if own && process == newcomer.owner { // nobody has more
		among, silence = func(owner) bool { return true }, longSilent
	}
	var last *Place
	for p := range s.taken {
		if among(p.owner) && (last == nil || p.heard.Load() < last.heard.Load()) {
			last = p
		}
	}
	if last != nil && newcomer.heard.Load()-last.heard.Load() < int64(silence) {
		return nil
	}
	return last
}
