package faults

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
	"serveflow/test/frames"
)

// tap is a tap under the control of a test.
type tap struct {
	t testing.TB
	*net.UnixConn
	*wire.Encoder
	in *wire.Decoder
}

func (p *place) dial() *tap {
	p.t.Helper()
	c, err := p.tryDial()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

func (p *place) tryDial() (*tap, error) {
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	return &tap{p.t, c.(*net.UnixConn), wire.NewEncoder(c), wire.NewDecoder(c)}, nil
}

// hello dials and has itself welcomed.
func (p *place) hello(h wire.Hello) *tap {
	p.t.Helper()
	c := p.dial()
	c.do(c.Hello(&h))
	if m := c.next(); m.Kind != wire.KindWelcome {
		p.t.Fatalf("HELLO was answered by %+v", m)
	}
	return c
}

func (c *tap) do(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// next reads a message.
func (c *tap) next() wire.Message {
	c.t.Helper()
	var m wire.Message
	if err := c.in.Next(&m); err != nil {
		c.t.Fatalf("reading from the sidecar: %v", err)
	}
	return m
}

// rest reads up to the end of the connection: labels, and the error said last.
// The connection is reset where the sidecar has closed it with bytes unread.
func (c *tap) rest() (labels []wire.Label, code wire.ErrorCode, text string) {
	c.t.Helper()
	for {
		var m wire.Message
		switch err := c.in.Next(&m); {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return labels, code, text
		case err != nil:
			c.t.Errorf("reading from the sidecar: %v", err)
			return labels, code, text
		case m.Kind == wire.KindLabel:
			labels = append(labels, m.Label)
		case m.Kind == wire.KindError:
			code, text = m.Code, m.Text
		}
	}
}

// sync sends SYNC and reads up to SYNCED.
func (c *tap) sync(final bool) (labels []wire.Label) {
	c.t.Helper()
	c.do(c.Sync(1, final))
	for {
		switch m := c.next(); m.Kind {
		case wire.KindLabel:
			labels = append(labels, m.Label)
		case wire.KindSynced:
			return labels
		default:
			c.t.Fatalf("while waiting for SYNCED: %+v", m)
		}
	}
}

// begin is the packet time of a flow's first packet.
const begin = 1_700_000_000_000_000

// packet sends a packet of a flow from its originator, index from 1, to a port:
// of the toy bundle, 53 is decided at once and others at the third packet.
func (c *tap) packet(id, index uint64, port uint16) error {
	return c.Packet(&wire.Message{
		Flow: wire.UintID(id), Time: begin + int64(index), OrigPkts: index,
		WireLen: 40, Link: uint32(packet.RawIP), Raw: frames.Headers(uint32(id), port),
	})
}
