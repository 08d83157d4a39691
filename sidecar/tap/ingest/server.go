package ingest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/tap/wire"
)

// Options configure a server.
type Options struct {
	Socket         unixsocket.Socket
	AllowUIDs      []uint32 // users that may connect; empty: all that the mode permits
	MaxConnections int
	HelloTimeout   time.Duration
	IdleTimeout    time.Duration  // of a live tap that has sent STATS; 0: it may be silent for ever
	Replies        *memory.Budget // what is queued for taps takes of it; nil: as it likes
	Needs          wire.Welcome   // what the bundle needs of each flow
	Router         *shard.Router  // takes the events
	Log            zerolog.Logger
	Metrics        *telemetry.Metrics
}

// ConnectionBytes is what a connection takes, with so many shards: what was read, what
// is to be sent, and a batch on its way to each shard.
func ConnectionBytes(shards int) int { return wire.ReadBuffer + 3*outboxFree + shards*flow.BatchBytes }

// Server listens for taps.
type Server struct {
	options  Options
	listener *unixsocket.Listener
	mu       sync.Mutex
	peers    map[*peer]struct{}
	places   *unixsocket.Places
	stopping atomic.Bool
	needs    wire.Welcome // guarded by mu
	accepts  sync.WaitGroup
	readers  sync.WaitGroup
	writers  sync.WaitGroup
}

// Listen makes the socket and begins to serve.
func Listen(o Options) (*Server, error) {
	l, err := o.Socket.Listen()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, listener: l, peers: map[*peer]struct{}{}, places: unixsocket.NewPlaces(o.MaxConnections), needs: o.Needs}
	s.accepts.Go(func() {
		l.Serve(s.accept, func(err error) {
			o.Log.Error().Err(err).Msg("cannot accept connections; retrying")
		})
	})
	return s, nil
}

// Peers is the number of connections.
func (s *Server) Peers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers)
}

// SetNeeds sends all taps, and those that connect later, what is needed of each flow
// from now on. It returns whether that is more than before.
func (s *Server) SetNeeds(w wire.Welcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.needs
	if w == before {
		return false
	}
	s.needs = w
	for p := range s.peers {
		if p.welcomed {
			p.out.welcome(w)
		}
	}
	return w.AfterLabel && !before.AfterLabel || w.Packets > before.Packets || w.RawBytes > before.RawBytes || w.PayloadBytes > before.PayloadBytes
}

// sendWelcome answers HELLO with WELCOME.
func (s *Server) sendWelcome(p *peer, tap telemetry.TapStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.tap = tap
	p.welcomed = true
	p.out.welcome(s.needs)
}

// Stop accepts no more connections and sends what the taps have sent so far to the
// shards, which must still be running.
func (s *Server) Stop() error {
	s.stopping.Store(true)
	err := s.listener.Close()
	s.accepts.Wait()
	s.mu.Lock()
	for p := range s.peers {
		p.stop()
	}
	s.mu.Unlock()
	s.readers.Wait()
	return err
}

// Close sends the remaining labels, for as long as ctx allows and no longer than
// lingerTime, and closes all connections. It comes after Stop and after the shards
// have returned.
func (s *Server) Close(ctx context.Context) {
	until := time.Now().Add(lingerTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	s.mu.Lock()
	for p := range s.peers {
		p.conn.SetWriteDeadline(until)
		p.out.sendError(wire.CodeShutdown, "the sidecar is stopping: connect again later")
		p.out.finish()
	}
	s.mu.Unlock()
	s.writers.Wait()
}

// accept starts to serve a connection, or refuses it.
func (s *Server) accept(conn *net.UnixConn) {
	pid, uid, err := unixsocket.Credentials(conn)
	log := s.options.Log.With().Int("pid", pid).Uint32("uid", uid).Logger()
	if err == nil && len(s.options.AllowUIDs) > 0 && !slices.Contains(s.options.AllowUIDs, uid) {
		err = fmt.Errorf("user %d may not connect: see listen.allow_uids", uid)
	}
	if err != nil {
		s.refuse(conn, log, wire.CodeRefused, err)
		return
	}
	var p *peer
	place, err := s.places.Take(pid, uid, func() { p.giveUp() })
	if err != nil {
		s.refuse(conn, log, wire.CodeLimit, fmt.Errorf("%w: see listen.max_connections", err))
		return
	}
	p = newPeer(s, conn, place, pid, uid, log)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[p] = struct{}{}
	s.readers.Add(1)
	s.writers.Add(1)
	go func() {
		defer s.readers.Done()
		p.readAll()
	}()
	go func() {
		defer s.writers.Done()
		p.out.sendAll(conn)
		conn.Close()
		p.place.Leave()
		s.mu.Lock()
		delete(s.peers, p)
		s.mu.Unlock()
	}()
}

// refuse sends an error and closes a connection. The message fits the empty socket
// buffer, so that writing it cannot block.
func (s *Server) refuse(conn *net.UnixConn, log zerolog.Logger, code wire.ErrorCode, err error) {
	log.Warn().Err(err).Msg("connection refused")
	s.options.Metrics.Count(telemetry.DropLimit, 1)
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	wire.NewEncoder(conn).Error(code, err.Error())
	conn.Close()
}
