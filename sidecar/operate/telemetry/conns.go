package telemetry

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// conns is a listener with a bounded number of connections. When there are no more, the
// one that has been without a request for longest is closed in favour of a newcomer;
// while all have one, or have just come, newcomers wait.
type conns struct {
	net.Listener
	max int

	mu     sync.Mutex
	change sync.Cond
	open   list.List // of *connState, the longest without a request first
	at     map[net.Conn]*list.Element
	closed bool
}

type connState struct {
	net.Conn
	busy     bool      // a request is being answered
	accepted time.Time // its first request may be on its way
	asked    bool      // it has had one
}

// firstRequest is how long a connection has for its first request, when others wait.
const firstRequest = 100 * time.Millisecond

func limitConns(ln net.Listener, max int) *conns {
	c := &conns{Listener: ln, max: max, at: map[net.Conn]*list.Element{}}
	c.change.L = &c.mu
	return c
}

// Accept implements net.Listener.
func (c *conns) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open.Len() >= c.max && !c.spare() {
		if c.closed {
			conn.Close()
			return nil, net.ErrClosed
		}
		soon := time.AfterFunc(firstRequest, c.change.Broadcast)
		c.change.Wait()
		soon.Stop()
	}
	c.at[conn] = c.open.PushBack(&connState{Conn: conn, accepted: time.Now()})
	return conn, nil
}

// spare closes a connection without a request, if there is one.
func (c *conns) spare() bool {
	for e := c.open.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*connState); !s.busy && (s.asked || time.Since(s.accepted) >= firstRequest) {
			c.remove(s.Conn)
			s.Close()
			return true
		}
	}
	return false
}

func (c *conns) remove(conn net.Conn) {
	if e := c.at[conn]; e != nil {
		c.open.Remove(e)
		delete(c.at, conn)
		c.change.Broadcast()
	}
}

// Close implements net.Listener.
func (c *conns) Close() error {
	c.mu.Lock()
	c.closed = true
	c.change.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// state is what http.Server.ConnState calls.
func (c *conns) state(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateIdle: // the answer is sent
		c.setBusy(conn, false)
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(conn)
	}
}

type connKey struct{}

// context is what http.Server.ConnContext calls.
func (c *conns) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// handler notes which connections have a request that is being answered.
func (c *conns) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		c.setBusy(conn, true)
		h.ServeHTTP(w, r)
	})
}

func (c *conns) setBusy(conn net.Conn, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[conn]; e != nil {
		s := e.Value.(*connState)
		s.busy, s.asked = busy, true
		c.open.MoveToBack(e)
		c.change.Broadcast()
	}
}
