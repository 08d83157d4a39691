package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// peer is the sidecar's end of a connection in a test.
type peer struct {
	net.Conn
	*wire.Encoder
	d *wire.Decoder
}

// next reads a message that is not STATS.
func (p *peer) next(m *wire.Message) error {
	for {
		if err := p.d.Next(m); err != nil || m.Kind != wire.KindStats {
			return err
		}
	}
}

// fakeSidecar serves each connection in turn with one of the given functions.
func fakeSidecar(t testing.TB, serve ...func(*peer) error) (socket string) {
	t.Helper()
	// The name of a socket may have 107 bytes; that of t.TempDir is longer
	// than it looks.
	dir, err := os.MkdirTemp("", "sf")
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, f := range serve {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := f(&peer{c, wire.NewEncoder(c), wire.NewDecoder(c)}); err != nil {
				t.Errorf("the fake sidecar, connection %d: %v", i+1, err)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		os.RemoveAll(dir)
	})
	return socket
}

// greet answers HELLO with WELCOME.
func (p *peer) greet(w wire.Welcome) (wire.Hello, error) {
	var m wire.Message
	if err := p.next(&m); err != nil {
		return m.Hello, err
	}
	if m.Kind != wire.KindHello {
		return m.Hello, fmt.Errorf("the first message is %v", m.Kind)
	}
	return m.Hello, p.Welcome(&w)
}

// record reads up to SYNC, says what it read in words, labels each flow that
// ends and answers SYNCED.
func (p *peer) record(words *[]string) error {
	var m wire.Message
	for {
		if err := p.next(&m); err != nil {
			return err
		}
		switch m.Kind {
		case wire.KindPacket:
			*words = append(*words, fmt.Sprintf("%s%c%d/%d:%d", m.Flow, "or?"[m.Dir], m.OrigPkts, m.RespPkts, len(m.Raw)))
		case wire.KindEnd:
			*words = append(*words, m.Flow.String()+"end")
			if err := p.Label(&wire.Label{Flow: m.Flow, Label: "printer", Reason: "flow_end"}); err != nil {
				return err
			}
		case wire.KindSync:
			if !m.Final {
				return errors.New("SYNC is not final")
			}
			return p.Synced(m.Token)
		default:
			return fmt.Errorf("unexpected %v", m.Kind)
		}
	}
}

// twoFlows is a TCP connection of 4 packets and a lookup of 2.
func twoFlows(t testing.TB) *list {
	l := &list{}
	l.add(1, tcpFrom("a", "S", 100, 0, 0))
	l.add(1.1, tcpFrom("b", "SA", 499, 101, 0))
	l.add(1.2, tcpFrom("a", "PA", 101, 500, 300))
	l.add(1.3, udp(hostA, hostB, 5000, 53, make([]byte, 20)))
	l.add(1.4, udp(hostB, hostA, 53, 5000, make([]byte, 60)))
	l.add(1.5, tcpFrom("b", "RA", 500, 101, 0))
	return l
}

func play(t testing.TB, socket string, o TapOptions, l *list) (Report, error) {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	tap, err := Dial(t.Context(), socket, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	return tap.Play(t.Context(), NewFlows(l, Options{}))
}

func TestTap(t *testing.T) {
	var words []string
	var hello wire.Hello
	socket := fakeSidecar(t, func(p *peer) (err error) {
		if hello, err = p.greet(wire.Welcome{Packets: 3, RawBytes: 120}); err != nil {
			return err
		}
		return p.record(&words)
	})
	var labels []string
	report, err := play(t, socket, TapOptions{Sensor: "lab", Capture: true,
		OnLabel: func(l wire.Label) { labels = append(labels, l.Flow.String()+l.Label) }}, twoFlows(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := (wire.Hello{Version: 1, Engine: "replay", Sensor: "lab", PID: os.Getpid(), Run: hello.Run, Capture: true, Reply: true}); hello != want || len(hello.Run) < 16 {
		t.Errorf("HELLO %+v, want %+v", hello, want)
	}
	// The fourth packet of flow 1 is not wanted, nor is any payload.
	want := "1o1/0:40 1r1/1:40 1o2/1:40 2o1/0:28 2r1/1:28 1end 2end"
	if got := strings.Join(words, " "); got != want {
		t.Errorf("messages\n got %s\nwant %s", got, want)
	}
	if !slices.Equal(labels, []string{"1printer", "2printer"}) {
		t.Errorf("labels %v", labels)
	}
	if report.Events != 5 || report.Labels != 2 || report.Capture.Packets != 6 || report.Capture.Flows != 2 {
		t.Errorf("report %+v", report)
	}
}

func TestTapPayload(t *testing.T) {
	var words []string
	socket := fakeSidecar(t, func(p *peer) error {
		if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 100, PayloadBytes: 70}); err != nil {
			return err
		}
		return p.record(&words)
	})
	if _, err := play(t, socket, TapOptions{Capture: true}, twoFlows(t)); err != nil {
		t.Fatal(err)
	}
	want := "1o1/0:40 1r1/1:40 1o2/1:100 2o1/0:48 2r1/1:88 1r2/2:40 1end 2end"
	if got := strings.Join(words, " "); got != want {
		t.Errorf("messages\n got %s\nwant %s", got, want)
	}
}

func TestTapMeta(t *testing.T) {
	var metas []wire.Message
	socket := fakeSidecar(t, func(p *peer) error {
		hello, err := p.greet(wire.Welcome{Packets: 10, PayloadBytes: 16})
		if err != nil || !hello.Meta || hello.Capture || hello.Reply {
			return fmt.Errorf("HELLO %+v, %v", hello, err)
		}
		for {
			var m wire.Message
			if err := p.next(&m); err != nil {
				return err
			}
			switch m.Kind {
			case wire.KindMeta:
				metas = append(metas, m)
			case wire.KindSync:
				return p.Synced(m.Token)
			}
		}
	})
	if _, err := play(t, socket, TapOptions{Meta: true}, twoFlows(t)); err != nil {
		t.Fatal(err)
	}
	if len(metas) != 6 {
		t.Fatalf("%d METAs", len(metas))
	}
	m := metas[4] // the answer of the lookup
	if m.Flow != wire.UintID(2) || m.Dir != uint8(packet.Responder) || m.OrigBytes != 62 || m.RespBytes != 102 ||
		m.Proto != packet.UDP || m.Src.String() != hostB || m.SrcPort != 53 || m.Dst.String() != hostA || m.DstPort != 5000 ||
		m.PayloadLen != 60 {
		t.Errorf("META %+v", m)
	}
}

// The sidecar holds back while nobody reads its labels: with both ends full,
// only a tap that reads while it writes gets on.
func TestTapUnderBackPressure(t *testing.T) {
	const flows = 20000
	socket := fakeSidecar(t, func(p *peer) error {
		if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192}); err != nil {
			return err
		}
		var m wire.Message
		for {
			if err := p.next(&m); err != nil {
				return err
			}
			switch m.Kind {
			case wire.KindPacket:
				if err := p.Label(&wire.Label{Flow: m.Flow, Label: strings.Repeat("x", 200)}); err != nil {
					return err
				}
			case wire.KindSync:
				return p.Synced(m.Token)
			}
		}
	})
	l := &list{}
	for i := range flows {
		l.add(float64(i)/1000, udp(hostA, hostB, uint16(i), 5000+uint16(i>>12), nil))
	}
	var labels atomic.Int64
	report, err := play(t, socket, TapOptions{Capture: true, OnLabel: func(wire.Label) { labels.Add(1) }}, l)
	if err != nil || report.Labels != flows || labels.Load() != flows {
		t.Errorf("%d labels, report %+v, %v", labels.Load(), report, err)
	}
}

func TestLiveTapStopsAtTheLabel(t *testing.T) {
	var words []string
	socket := fakeSidecar(t, func(p *peer) error {
		var m wire.Message
		for kind := wire.KindHello; kind <= wire.KindPacket; kind++ { // no WELCOME is waited for
			if err := p.next(&m); err != nil || m.Kind != kind {
				return fmt.Errorf("%v, %v", m.Kind, err)
			}
		}
		if err := p.Label(&wire.Label{Flow: m.Flow, Label: "early"}); err != nil {
			return err
		}
		return p.record(&words)
	})
	l := &list{}
	for i := range 3 {
		l.add(float64(i), udp(hostA, hostB, 5000, 53, nil))
	}
	report, err := play(t, socket, TapOptions{Speed: 10, OnLabel: func(wire.Label) {}}, l)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(words, " "); got != "1end" {
		t.Errorf("after the label came %s", got)
	}
	if report.Events != 1 || report.Elapsed < 180*time.Millisecond || report.Elapsed > 3*time.Second {
		t.Errorf("report %+v", report)
	}
}

// A sidecar with a second bundle wants a flow's packets also after its label.
func TestLiveTapGoesOnAfterTheLabel(t *testing.T) {
	var words []string
	socket := fakeSidecar(t, func(p *peer) error {
		if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192, AfterLabel: true}); err != nil {
			return err
		}
		var m wire.Message
		if err := p.next(&m); err != nil {
			return err
		}
		if err := p.Label(&wire.Label{Flow: m.Flow, Label: "early"}); err != nil {
			return err
		}
		return p.record(&words)
	})
	l := &list{}
	for i := range 3 {
		l.add(float64(i), udp(hostA, hostB, 5000, 53, nil))
	}
	if _, err := play(t, socket, TapOptions{Speed: 10, OnLabel: func(wire.Label) {}}, l); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(words, " "); got != "1o2/0:28 1o3/0:28 1end" {
		t.Errorf("after the label came %s", got)
	}
}

func TestTapFailures(t *testing.T) {
	hang := func(p *peer) error {
		_, err := io.Copy(io.Discard, p) // until the tap goes away
		return err
	}
	hello := func(p *peer) error {
		_, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192})
		return err
	}
	for _, c := range []struct {
		name  string
		serve func(*peer) error
		want  string
	}{
		{"no WELCOME", hang, "no WELCOME from the sidecar for 300ms"},
		{"no SYNCED", func(p *peer) error { return errors.Join(hello(p), hang(p)) }, "waiting for SYNCED"},
		{"does not read", func(p *peer) error {
			err := hello(p)
			time.Sleep(time.Second)
			return err
		}, "the sidecar has not read its socket for 300ms"},
		{"closes", hello, "the sidecar closed the connection"},
		{"closes inside a message", func(p *peer) error {
			err := hello(p)
			_, half := p.Write([]byte{0x93, byte(wire.KindError)})
			return errors.Join(err, half)
		}, "the sidecar closed the connection: "},
		{"ERROR", func(p *peer) error {
			return errors.Join(hello(p), p.Error(wire.CodeLimit, "too many connections"))
		}, "the sidecar says: too many connections (error 5)"},
		{"speaks nonsense", func(p *peer) error {
			_, err := p.Write([]byte("HTTP/1.1 400 Bad Request\r\n"))
			time.Sleep(100 * time.Millisecond)
			return err
		}, "reading from the sidecar: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &list{}
			for i := range 5000 { // more than the socket holds
				l.add(float64(i), udp(hostA, hostB, 5000, uint16(1+i), nil))
			}
			_, err := play(t, fakeSidecar(t, c.serve), TapOptions{Capture: true, Timeout: 300 * time.Millisecond}, l)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v is taken for a capture that is cut", err)
			}
		})
	}
	if _, err := Dial(t.Context(), "/nonexistent/socket", TapOptions{}); err == nil || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("without a sidecar: %v", err)
	}
	if _, err := Dial(t.Context(), "", TapOptions{Capture: true, Reconnect: true}); err == nil {
		t.Error("a capture would reconnect")
	}
}

func TestTapIsCancelled(t *testing.T) {
	socket := fakeSidecar(t, func(p *peer) error {
		_, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192})
		io.Copy(io.Discard, p)
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	tap, err := Dial(ctx, socket, TapOptions{Capture: true, Speed: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := tap.Play(ctx, NewFlows(twoFlows(t), Options{})); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTapReconnects(t *testing.T) {
	var words []string
	socket := fakeSidecar(t,
		func(p *peer) error {
			if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192}); err != nil {
				return err
			}
			var m wire.Message
			for range 2 {
				if err := p.next(&m); err != nil {
					return err
				}
			}
			return p.Error(wire.CodeShutdown, "stopping")
		},
		func(p *peer) error {
			if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192}); err != nil {
				return err
			}
			return p.record(&words)
		})
	report, err := play(t, socket, TapOptions{Speed: 1, Reconnect: true}, twoFlows(t))
	if err != nil {
		t.Fatal(err)
	}
	if report.Reconnects != 1 {
		t.Errorf("report %+v", report)
	}
	if got := strings.Join(words, " "); !strings.HasSuffix(got, "2end") || strings.Contains(got, "1o1/0") {
		t.Errorf("the second connection had %s", got)
	}
}
