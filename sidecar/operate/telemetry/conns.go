package telemetry

import (
	"bytes"
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// conns is a listener with a bounded number of connections. When there are no more, the
// one that has been without a request for longest, or does not read its answer, is closed
// in favour of a newcomer; while all have a request, or have just come, newcomers wait.
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
	busy bool      // an answer is being made
	kept time.Time // until when it is not closed in favour of others
}

// What a connection has time for when others wait.
const (
	firstRequest = 100 * time.Millisecond
	readAnswer   = time.Second
)

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
	c.at[conn] = c.open.PushBack(&connState{Conn: conn, kept: time.Now().Add(firstRequest)})
	return conn, nil
}

// spare closes a connection that has no request or does not read, if there is one.
func (c *conns) spare() bool {
	for e := c.open.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*connState); !s.busy && time.Since(s.kept) >= 0 {
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
		c.note(conn, false, 0)
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

// handler makes answers in memory, so that who does not read them keeps nothing but a
// connection, and notes which connections have a request.
func (c *conns) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		c.note(conn, true, 0)
		made := answer{header: w.Header(), code: http.StatusOK}
		h.ServeHTTP(&made, r)
		c.note(conn, false, readAnswer)
		w.WriteHeader(made.code)
		made.WriteTo(w)
	})
}

// note notes whether an answer is being made, and for how long the connection is kept
// although others wait.
func (c *conns) note(conn net.Conn, busy bool, kept time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[conn]; e != nil {
		s := e.Value.(*connState)
		s.busy, s.kept = busy, time.Now().Add(kept)
		c.open.MoveToBack(e)
		c.change.Broadcast()
	}
}

// answer is an http.ResponseWriter in memory.
type answer struct {
	bytes.Buffer
	header http.Header
	code   int
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) { a.code = code }
