package ingest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
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
	server   *Server
	conn     *net.UnixConn
	log      zerolog.Logger
	out      *outbox
	in       *wire.Decoder
	place    *unixsocket.Place
	gaveUp   atomic.Bool   // its place went to another connection
	pid      int           // of the tap's process, as the kernel says; 0: not known
	stream   *shard.Stream // nil before HELLO
	live     bool
	reports  bool // it has sent STATS
	welcomed bool // by the server's mutex: WELCOME was sent
	counts   [wire.KindStats + 1]uint64
	unknown  uint64              // messages of unknown type, as last counted
	dropped  uint64              // by the tap, as last reported
	newest   int64               // time of the newest packet, µs
	tap      telemetry.TapStatus // by the server's mutex: what HELLO and the kernel say
	progress progress
}

// eventCells are the counters of message types.
var eventCells = [wire.KindStats + 1]telemetry.Cell{
	wire.KindHello:  telemetry.EventHello,
	wire.KindPacket: telemetry.EventPacket,
	wire.KindMeta:   telemetry.EventHeaderless,
	wire.KindEnd:    telemetry.EventEnd,
	wire.KindSync:   telemetry.EventSync,
	wire.KindStats:  telemetry.EventStats,
}

// maxTapDropped bounds the losses that one connection may report, so that the sum
// over all does not overflow. No tap loses more.
const maxTapDropped = 1 << 40

// lingerTime is how long a tap has to read its labels after it has shut down its
// sending side, or when the server closes the connection.
const lingerTime = 5 * time.Second

func newPeer(s *Server, conn *net.UnixConn, place *unixsocket.Place, pid int, uid uint32, log zerolog.Logger) *peer {
	p := &peer{
		server: s,
		conn:   conn,
		place:  place,
		pid:    pid,
		log:    log,
		out:    newOutbox(s.options.Metrics, s.options.Replies),
		tap:    telemetry.TapStatus{PID: pid, UID: uid},
	}
	p.in = wire.NewDecoder(p)
	return p
}

// Read reads from the connection for the decoder. Before, it sends the decoded
// events to the shards, waits while a capture does not read its labels, and sets
// the read deadline.
func (p *peer) Read(buf []byte) (int, error) {
	p.flush()
	if p.stream != nil {
		p.out.waitForRoom()
		if idle := p.server.options.IdleTimeout; idle > 0 && p.live && p.reports {
			p.conn.SetReadDeadline(time.Now().Add(idle))
		}
	}
	n, err := p.conn.Read(buf)
	p.place.Heard()
	if p.stream != nil {
		p.stream.Arrived = time.Now()
	}
	return n, err
}

// stop lets the reader end: what the peer has sent is still read.
func (p *peer) stop() {
	p.out.stopWaiting()
	p.conn.CloseRead()
}

// giveUp closes the connection in favour of another.
func (p *peer) giveUp() {
	p.gaveUp.Store(true)
	p.stop()
}

// readAll reads the connection until it ends.
func (p *peer) readAll() {
	p.conn.SetReadDeadline(time.Now().Add(p.server.options.HelloTimeout))
	err := p.handshake()
	if err == nil {
		p.conn.SetReadDeadline(time.Time{})
		p.log.Info().Msg("tap connected")
		err = p.readEvents()
	}
	if p.gaveUp.Load() {
		err = errGaveUp
	}
	p.disconnect(err)
}

// handshake reads HELLO and answers it.
func (p *peer) handshake() error {
	var m wire.Message
	if err := p.in.Next(&m); err != nil {
		return err
	}
	if m.Kind != wire.KindHello {
		return &orderError{m.Kind, "the first message is HELLO"}
	}
	p.counts[wire.KindHello]++
	h := &m.Hello
	p.live = !h.Capture
	tap := shard.Tap{Sensor: h.Sensor, Capture: h.Capture}
	if h.Capture {
		tap.Run = p.runName(h)
	}
	if h.Reply {
		tap.Reply = p.out
	}
	mode := "live"
	if h.Capture {
		mode = "capture"
	}
	p.log = p.log.With().Str("sensor", h.Sensor).Str("engine", strings.TrimSpace(h.Engine+" "+h.EngineVersion)).Str("mode", mode).Logger()
	p.out.configure(h.Capture, p.log)
	log := p.log
	tap.Unparsed = func(err error) {
		log.Warn().Err(err).Msg("cannot parse a packet of this tap (check its link type and the length of raw); further ones are only counted")
	}
	p.stream = p.server.options.Router.Open(tap)
	p.stream.Arrived = time.Now()
	p.server.sendWelcome(p, telemetry.TapStatus{
		PID: p.pid, UID: p.tap.UID, Sensor: h.Sensor, Engine: h.Engine, EngineVersion: h.EngineVersion, Mode: mode,
	})
	return nil
}

// runName names one run over a capture: by the tap's own name for it, else by the
// connected process as the kernel reports it and the process id in HELLO, which
// alone may be the same in two containers.
func (p *peer) runName(h *wire.Hello) string {
	if h.Run != "" {
		return "run " + h.Run
	}
	return fmt.Sprintf("process %d %s, pid %d", p.pid, unixsocket.Started(p.pid), h.PID)
}

// readEvents sends events to the shards until the connection ends.
func (p *peer) readEvents() error {
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
			p.addEvent(&m)
		case wire.KindSync:
			if p.out.unread() {
				return errUnread
			}
			token := m.Token
			p.stream.Barrier(m.Final, func() { p.out.synced(token) })
		case wire.KindStats:
			p.stats(&m)
		default:
			return &orderError{m.Kind, "a tap does not send it here"}
		}
	}
}

func (p *peer) addEvent(m *wire.Message) {
	bytes := m.Raw
	if m.Kind == wire.KindMeta {
		bytes = m.Payload
	}
	p.newest = max(p.newest, m.Time)
	e := p.stream.Add(m.Flow, m.Time, bytes)
	e.Dir = packet.Dir(m.Dir)
	e.OrigPkts, e.RespPkts = m.OrigPkts, m.RespPkts
	switch m.Kind {
	case wire.KindPacket:
		e.Kind, e.Link, e.WireLen = flow.Frame, packet.Link(m.Link), m.WireLen
	case wire.KindMeta:
		e.Kind = flow.Headerless
		e.Tuple = tuple(m)
		e.Payload = int32(min(m.PayloadLen, 1<<30))
	case wire.KindEnd:
		e.Kind = flow.End
	}
}

// tuple is the endpoints in a META, as far as it has them.
func tuple(m *wire.Message) packet.Tuple {
	t := packet.Tuple{Proto: m.Proto, SrcPort: m.SrcPort, DstPort: m.DstPort}
	t.SetAddrs(m.Src, m.Dst)
	return t
}

// stats moves the clock on every shard and counts what the tap has lost.
func (p *peer) stats(m *wire.Message) {
	if n := min(m.Dropped, maxTapDropped); n > p.dropped {
		p.server.options.Metrics.Count(telemetry.DropTap, n-p.dropped)
		p.dropped = n
	}
	p.reports = true
	p.stream.Clock(m.Time)
}

func (p *peer) flush() {
	if p.stream != nil {
		p.stream.Flush()
	}
	if p.stream != nil {
		p.progress.message.Store(p.stream.Arrived.UnixMicro())
		p.progress.packet.Store(p.newest)
		p.progress.dropped.Store(p.dropped)
		p.progress.events.Add(p.counts[wire.KindPacket] + p.counts[wire.KindMeta] + p.counts[wire.KindEnd])
	}
	for kind, n := range p.counts {
		if n > 0 {
			p.server.options.Metrics.Count(eventCells[kind], n)
			p.counts[kind] = 0
		}
	}
	if u := p.in.Unknown(); u > p.unknown {
		p.server.options.Metrics.Count(telemetry.EventUnknown, u-p.unknown)
		p.unknown = u
	}
}

// disconnect ends the connection: the shards handle everything that came before,
// then the labels still queued are sent.
func (p *peer) disconnect(err error) {
	p.flush()
	if p.server.stopping.Load() {
		return // the pool stops the shards
	}
	log := p.log.Info()
	if p.stream == nil { // a probe that only checks whether the sidecar is there
		log = p.log.Debug()
	}
	if code, bad := p.errorCode(err); bad {
		log = p.log.Warn().Err(err)
		p.out.sendError(code, err.Error())
	}
	log.Uint64("tap_dropped", p.dropped).Uint64("labels_dropped", p.out.lost()).Msg("tap disconnected")
	if p.stream == nil {
		p.closeWhenSent()
		return
	}
	p.stream.Close(p.closeWhenSent)
}

// closeWhenSent ends the connection once everything queued is sent.
func (p *peer) closeWhenSent() {
	p.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	p.out.finish()
}

// errorCode is the code of the error that ended the connection, which is sent to
// the peer; false if the peer disconnected between two messages.
func (p *peer) errorCode(err error) (wire.ErrorCode, bool) {
	var malformed *wire.MalformedError
	var order *orderError
	switch {
	case errors.Is(err, errGaveUp), errors.Is(err, errUnread):
		p.server.options.Metrics.Count(telemetry.DropLimit, 1)
		return wire.CodeLimit, true
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return 0, false
	case errors.As(err, &malformed):
		p.server.options.Metrics.Count(telemetry.DropMalformed, 1)
		return malformed.Code(), true
	case errors.As(err, &order):
		p.server.options.Metrics.Count(telemetry.DropMalformed, 1)
		return wire.CodeOrder, true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wire.CodeTimeout, true
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.server.options.Metrics.Count(telemetry.DropMalformed, 1)
		return wire.CodeMalformed, true
	}
	return wire.CodeInternal, true
}

var errUnread = errors.New("the tap requests SYNCED but does not read it")

var errGaveUp = errors.New("closed to admit another connection: this process had the most connections and this one was idle longest (see listen.max_connections)")

type orderError struct {
	kind wire.Kind
	why  string
}

func (e *orderError) Error() string { return fmt.Sprintf("unexpected %v: %s", e.kind, e.why) }
