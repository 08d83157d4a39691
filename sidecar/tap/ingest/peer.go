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
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/tap/wire"
)

// peer is one connection of a tap.
type peer struct {
	server  *Server
	conn    *net.UnixConn
	log     zerolog.Logger
	out     *outbox
	in      *wire.Decoder
	pid     int           // of the tap's process, as the kernel says; 0: not known
	stream  *shard.Stream // nil before HELLO
	greeted bool          // by the server's mutex: WELCOME was sent
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

// maxDropped is the most losses that are believed of one connection: the sum over
// all must not overflow, and no tap loses more.
const maxDropped = 1 << 40

// lingering is how long a tap has to take its labels when it has hung up
// half-way, or when the server hangs up.
const lingering = 5 * time.Second

func newPeer(s *Server, conn *net.UnixConn, pid int, log zerolog.Logger) *peer {
	p := &peer{
		server: s,
		conn:   conn,
		pid:    pid,
		log:    log,
		out:    newOutbox(s.options.Metrics),
	}
	p.in = wire.NewDecoder(p)
	return p
}

// Read reads from the connection for the decoder: it hands over what was
// decoded so far, waits where the peer does not take its labels, and sees to
// the time limits.
func (p *peer) Read(buf []byte) (int, error) {
	p.flush()
	if p.stream != nil {
		p.out.wait()
		if idle := p.server.options.IdleTimeout; idle > 0 {
			p.conn.SetReadDeadline(time.Now().Add(idle))
		}
	}
	n, err := p.conn.Read(buf)
	if p.stream != nil {
		p.stream.Arrived = time.Now()
	}
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
	tap := shard.Tap{Sensor: h.Sensor, Capture: h.Capture}
	if h.Capture {
		tap.Run = p.run(h)
	}
	if h.Reply {
		tap.Reply = p.out
	}
	mode := "live"
	if h.Capture {
		mode = "capture"
	}
	p.log = p.log.With().Str("sensor", h.Sensor).Str("engine", strings.TrimSpace(h.Engine+" "+h.EngineVersion)).Str("mode", mode).Logger()
	p.out.of(h.Capture, p.log)
	log := p.log
	tap.Unparsed = func(err error) {
		log.Warn().Err(err).Msg("a packet of this tap cannot be read (is its link type right, and raw long enough?); others are counted, not logged")
	}
	p.stream = p.server.options.Router.Open(tap)
	p.stream.Arrived = time.Now()
	p.server.greet(p)
	return nil
}

// run tells one run over a capture from others: by the name that the tap gives
// it, else by the process that has connected, as far as it can be seen from here,
// and the process id that the tap says it has: alone, two containers may share it.
func (p *peer) run(h *wire.Hello) string {
	if h.Run != "" {
		return "run " + h.Run
	}
	return fmt.Sprintf("process %d %s, pid %d", p.pid, unixsocket.Started(p.pid), h.PID)
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
			p.stream.Barrier(m.Final, func() { p.out.synced(token) })
		case wire.KindStats:
			p.stats(&m)
		default:
			return &orderError{m.Kind, "a tap does not send it here"}
		}
	}
}

func (p *peer) event(m *wire.Message) {
	bytes := m.Raw
	if m.Kind == wire.KindMeta {
		bytes = m.Payload
	}
	e := p.stream.Add(m.Flow, m.Time, bytes)
	e.Dir = packet.Dir(m.Dir)
	e.OrigPkts, e.RespPkts = m.OrigPkts, m.RespPkts
	switch m.Kind {
	case wire.KindPacket:
		e.Kind, e.Link, e.WireLen = flow.Frame, packet.Link(m.Link), m.WireLen
	case wire.KindMeta:
		e.Kind = flow.Meta
		e.Tuple = tuple(m)
		e.Payload = int32(min(m.PayloadLen, 1<<30))
	case wire.KindEnd:
		e.Kind = flow.End
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
	if n := min(m.Dropped, maxDropped); n > p.dropped {
		p.server.options.Metrics.Drops(telemetry.DropTap, n-p.dropped)
		p.dropped = n
	}
	p.stream.Clock(m.Time)
}

func (p *peer) flush() {
	if p.stream != nil {
		p.stream.Flush()
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
	if p.stream == nil { // somebody who only looked whether we are there
		log = p.log.Debug()
	}
	if code, bad := p.blame(err); bad {
		log = p.log.Warn().Err(err)
		p.out.fail(code, err.Error())
	}
	log.Uint64("tap_dropped", p.dropped).Uint64("labels_dropped", p.out.lost()).Msg("tap disconnected")
	if p.stream == nil {
		p.hangUp()
		return
	}
	p.stream.Close(p.hangUp)
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
