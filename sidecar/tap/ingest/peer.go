package ingest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// peer is one connection of a tap.
type peer struct {
	server  *Server
	conn    *net.UnixConn
	log     zerolog.Logger
	out     *outbox
	in      *wire.Decoder
	source  *flow.Source  // nil before HELLO
	greeted bool          // by the server's mutex: WELCOME was sent
	pending []*flow.Batch // one for each shard, nil when empty
	arrived time.Time     // when the newest bytes were read
	newest  int64         // packet time seen
	counts  [wire.KindStats + 1]uint64
	unknown uint64 // messages of unknown type, as counted last
	dropped uint64 // by the tap, as it said last
}

// events are the names that messages are counted under.
var events = [wire.KindStats + 1]telemetry.Event{
	wire.KindHello:  telemetry.EventHello,
	wire.KindPacket: telemetry.EventPacket,
	wire.KindMeta:   telemetry.EventMeta,
	wire.KindEnd:    telemetry.EventEnd,
	wire.KindSync:   telemetry.EventSync,
	wire.KindStats:  telemetry.EventStats,
}

// lingering is how long a tap has to take its labels when it has hung up
// half-way, or when the server hangs up.
const lingering = 5 * time.Second

func newPeer(s *Server, conn *net.UnixConn, log zerolog.Logger) *peer {
	p := &peer{
		server:  s,
		conn:    conn,
		log:     log,
		out:     newOutbox(s.options.Metrics),
		pending: make([]*flow.Batch, len(s.options.Shards)),
	}
	p.in = wire.NewDecoder(p)
	return p
}

// Read reads from the connection for the decoder: it hands over what was
// decoded so far, waits where the peer does not take its labels, and sees to
// the time limits.
func (p *peer) Read(buf []byte) (int, error) {
	p.flush()
	if p.source != nil {
		p.out.wait()
		if idle := p.server.options.IdleTimeout; idle > 0 {
			p.conn.SetReadDeadline(time.Now().Add(idle))
		}
	}
	n, err := p.conn.Read(buf)
	p.arrived = time.Now()
	return n, err
}

// stop lets the reader come to its end: what the peer has sent is still read.
func (p *peer) stop() {
	p.out.hurry()
	p.conn.CloseRead()
}

// read serves the connection until it ends.
func (p *peer) read() {
	p.conn.SetReadDeadline(time.Now().Add(p.server.options.HelloTimeout))
	err := p.greet()
	if err == nil {
		p.conn.SetReadDeadline(time.Time{})
		p.log.Info().Msg("tap connected")
		err = p.serve()
	}
	p.leave(err)
}

// greet reads HELLO and answers it.
func (p *peer) greet() error {
	var m wire.Message
	if err := p.in.Next(&m); err != nil {
		return err
	}
	if m.Kind != wire.KindHello {
		return &orderError{m.Kind, "the first message is HELLO"}
	}
	p.counts[wire.KindHello]++
	h := &m.Hello
	number, err := p.server.sensors.number(h)
	if err != nil {
		return err
	}
	source := &flow.Source{Sensor: h.Sensor, SensorID: number, Capture: h.Capture}
	if h.Reply {
		source.Reply = p.out
	}
	mode := "live"
	if h.Capture {
		mode = "capture"
	}
	p.log = p.log.With().Str("sensor", h.Sensor).Str("engine", strings.TrimSpace(h.Engine+" "+h.EngineVersion)).Str("mode", mode).Logger()
	p.out.of(h.Capture, p.log)
	p.source = source
	p.server.sensors.count(source, 1)
	p.server.greet(p)
	return nil
}

// serve hands over events until the connection ends.
func (p *peer) serve() error {
	var m wire.Message
	for {
		if err := p.in.Next(&m); err != nil {
			return err
		}
		if m.Kind <= wire.KindStats {
			p.counts[m.Kind]++
		}
		switch m.Kind {
		case wire.KindPacket, wire.KindMeta, wire.KindEnd:
			p.event(&m)
		case wire.KindSync:
			token := m.Token
			p.barrier(m.Final, func() { p.out.synced(token) })
		case wire.KindStats:
			p.stats(&m)
		default:
			return &orderError{m.Kind, "a tap does not send it here"}
		}
	}
}

func (p *peer) event(m *wire.Message) {
	i := p.server.shardOf(m.Flow, p.source.SensorID)
	b := p.batch(i)
	e := b.Add()
	e.ID, e.Time = m.Flow, m.Time
	p.newest = max(p.newest, m.Time)
	e.Dir = packet.Dir(m.Dir)
	e.OrigPkts, e.RespPkts = m.OrigPkts, m.RespPkts
	switch m.Kind {
	case wire.KindPacket:
		e.Kind, e.Link, e.WireLen = flow.Frame, packet.Link(m.Link), m.WireLen
		b.Keep(e, m.Raw)
	case wire.KindMeta:
		e.Kind = flow.Meta
		e.Tuple = tuple(m)
		e.Payload = int32(min(m.PayloadLen, 1<<30))
		b.Keep(e, m.Payload)
	case wire.KindEnd:
		e.Kind = flow.End
	}
	if b.Full() {
		p.hand(i)
	}
}

// tuple is the ends that META names, as far as it does.
func tuple(m *wire.Message) packet.Tuple {
	t := packet.Tuple{Proto: m.Proto, SrcPort: m.SrcPort, DstPort: m.DstPort}
	switch {
	case m.Src.Is4() && m.Dst.Is4():
		src, dst := m.Src.As4(), m.Dst.As4()
		copy(t.Src[:], src[:])
		copy(t.Dst[:], dst[:])
		t.Version = 4
	case m.Src.Is6() && m.Dst.Is6():
		t.Src, t.Dst = m.Src.As16(), m.Dst.As16()
		t.Version = 6
	}
	return t
}

// stats moves the clock on every shard and notes what the tap has lost.
func (p *peer) stats(m *wire.Message) {
	if m.Dropped > p.dropped {
		p.server.options.Metrics.Drops(telemetry.DropTap, m.Dropped-p.dropped)
	}
	p.dropped = m.Dropped
	p.newest = max(p.newest, m.Time)
	p.clock()
}

// clock lets every shard know the newest time, also those whose flows it is not
// of.
func (p *peer) clock() {
	for i := range p.pending {
		e := p.batch(i).Add()
		e.Kind, e.Time = flow.Clock, p.newest
		if p.pending[i].Full() {
			p.hand(i)
		}
	}
}

// barrier sends a barrier through all shards, behind what they were sent.
func (p *peer) barrier(final bool, pass func()) {
	if final {
		p.clock() // by which open flows are ended
	}
	b := flow.NewBarrier(len(p.pending), final, pass)
	for i := range p.pending {
		p.batch(i).Barrier = b
		p.hand(i)
	}
}

func (p *peer) batch(i int) *flow.Batch {
	if p.pending[i] == nil {
		p.pending[i] = flow.NewBatch(p.source, p.arrived)
	}
	return p.pending[i]
}

func (p *peer) hand(i int) {
	p.server.options.Shards[i] <- p.pending[i]
	p.pending[i] = nil
}

func (p *peer) flush() {
	for i, b := range p.pending {
		if b != nil {
			p.hand(i)
		}
	}
	for kind, n := range p.counts {
		if n > 0 {
			p.server.options.Metrics.Events(events[kind], n)
			p.counts[kind] = 0
		}
	}
	if u := p.in.Unknown(); u > p.unknown {
		p.server.options.Metrics.Events(telemetry.EventUnknown, u-p.unknown)
		p.unknown = u
	}
}

// leave ends the connection: the shards are told, and when they have dealt
// with all that came before, what is still to be sent is sent.
func (p *peer) leave(err error) {
	p.flush()
	if p.server.stopping.Load() {
		return // the shards will be told by the end of their input
	}
	log := p.log.Info()
	if p.source == nil { // somebody who only looked whether we are there
		log = p.log.Debug()
	}
	if code, bad := p.blame(err); bad {
		log = p.log.Warn().Err(err)
		p.out.fail(code, err.Error())
	}
	log.Uint64("tap_dropped", p.dropped).Uint64("labels_dropped", p.out.lost()).Msg("tap disconnected")
	if p.source == nil {
		p.hangUp()
		return
	}
	b := flow.NewBarrier(len(p.pending), false, func() {
		p.server.sensors.count(p.source, -1)
		p.hangUp()
	})
	for i := range p.pending {
		p.batch(i).Barrier, p.pending[i].Gone = b, true
		p.hand(i)
	}
}

// hangUp ends the connection when what is to be sent has been.
func (p *peer) hangUp() {
	p.conn.SetWriteDeadline(time.Now().Add(lingering))
	p.out.finish()
}

// blame says what the peer is told of the error that ended its connection, and
// whether it is one: to hang up between two messages is not.
func (p *peer) blame(err error) (wire.ErrorCode, bool) {
	var malformed *wire.MalformedError
	var order *orderError
	switch {
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return 0, false
	case errors.As(err, &malformed):
		p.server.options.Metrics.Drop(telemetry.DropMalformed)
		return malformed.Code(), true
	case errors.As(err, &order):
		p.server.options.Metrics.Drop(telemetry.DropMalformed)
		return wire.CodeOrder, true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wire.CodeTimeout, true
	case errors.Is(err, errSensors):
		return wire.CodeLimit, true
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.server.options.Metrics.Drop(telemetry.DropMalformed)
		return wire.CodeMalformed, true
	}
	return wire.CodeInternal, true
}

type orderError struct {
	kind wire.Kind
	why  string
}

func (e *orderError) Error() string { return fmt.Sprintf("unexpected %v: %s", e.kind, e.why) }
