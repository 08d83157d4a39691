package ingest

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/tap/wire"
)

// shards stands for the shards: it counts events, labels each flow's first
// packet, and passes barriers.
type shards struct {
	inputs []shard.Input
	wg     sync.WaitGroup
	mu     sync.Mutex
	events map[wire.FlowID]int
	shard  map[wire.FlowID]int // where a flow's events came to
	gone   int
	astray int // events that came to another shard than before
	hold   chan struct{}
}

func newShards(n int) *shards {
	s := &shards{events: map[wire.FlowID]int{}, shard: map[wire.FlowID]int{}, hold: make(chan struct{})}
	close(s.hold)
	for i := range n {
		in := make(chan *flow.Batch, 4)
		s.inputs = append(s.inputs, shard.Input{Live: in, Captures: in})
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			for b := range in {
				<-s.hold
				s.batch(i, b)
			}
		}()
	}
	return s
}

func (s *shards) batch(i int, b *flow.Batch) {
	s.mu.Lock()
	var labels []wire.Label
	for k := range b.Events {
		e := &b.Events[k]
		if e.Kind == flow.ClockUpdate {
			continue
		}
		if at, ok := s.shard[e.ID]; ok && at != i {
			s.astray++
		}
		s.shard[e.ID] = i
		s.events[e.ID]++
		if e.Kind != flow.End && e.Index() == 1 {
			labels = append(labels, wire.Label{Flow: e.ID, Label: "x", Stage: "s", Packets: 1, Model: "m@1.0.0", Reason: "accepted"})
		}
	}
	if b.SourceClosed {
		s.gone++
	}
	s.mu.Unlock()
	if b.Source.Reply != nil && len(labels) > 0 {
		b.Source.Reply.Labels(labels)
	}
	if b.Barrier != nil {
		b.Barrier.Arrive()
	}
	b.Release()
}

func (s *shards) close() {
	for _, in := range s.inputs {
		close(in.Live)
	}
	s.wg.Wait()
}

func (s *shards) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.events {
		n += c
	}
	return n
}

type rig struct {
	*Server
	t      testing.TB
	path   string
	shards *shards
	router *shard.Router
	ended  bool
}

func start(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "s.sock"), shards: newShards(3)}
	r.router = shard.NewRouter(r.shards.inputs, nil, time.Minute)
	o := Options{
		Socket: unixsocket.Socket{Path: r.path, Mode: 0o600}, MaxConnections: 10, HelloTimeout: 5 * time.Second,
		Needs: wire.Welcome{Packets: 10, RawBytes: 192}, Router: r.router, Log: zerolog.Nop(),
		Metrics: telemetry.New(telemetry.Options{}),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.Server, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end() })
	return r
}

func (r *rig) end() {
	if r.ended {
		return
	}
	r.ended = true
	if err := r.Stop(); err != nil {
		r.t.Error(err)
	}
	r.shards.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r.Close(ctx)
}

// tap is the other end of a connection.
type tap struct {
	*net.UnixConn
	*wire.Encoder
	in *wire.Decoder
	t  testing.TB
}

func (r *rig) dial() *tap {
	r.t.Helper()
	c, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &tap{c.(*net.UnixConn), wire.NewEncoder(c), wire.NewDecoder(c), r.t}
}

func (r *rig) hello(h wire.Hello) *tap {
	r.t.Helper()
	c := r.dial()
	if h.Sensor == "" {
		h.Sensor = "s"
	}
	c.Hello(&h)
	if m := c.next(); m.Kind != wire.KindWelcome || m.Welcome.Packets != 10 || m.Welcome.RawBytes != 192 {
		r.t.Fatalf("HELLO was answered by %+v", m)
	}
	return c
}

func (c *tap) next() wire.Message {
	c.t.Helper()
	var m wire.Message
	if err := c.in.Next(&m); err != nil {
		c.t.Fatalf("reading: %v", err)
	}
	return m
}

// hungUp reads up to the end of the connection and returns the error message.
func (c *tap) hungUp() (code wire.ErrorCode, text string) {
	c.t.Helper()
	for {
		var m wire.Message
		err := c.in.Next(&m)
		if errors.Is(err, io.EOF) {
			return code, text
		} else if err != nil {
			c.t.Fatalf("reading: %v", err)
		}
		if m.Kind == wire.KindError {
			code, text = m.Code, m.Text
		}
	}
}

func (c *tap) packet(id uint64, index uint64) error {
	return c.Packet(&wire.Message{Flow: wire.UintID(id), Time: int64(index), OrigPkts: index, Link: uint32(packet.RawIP), Raw: []byte{0x45}})
}
