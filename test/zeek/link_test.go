package zeek

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// counted is what the program of testing/unit/link.cc says at its end.
type counted struct {
	Sent, Dropped, Refused, Labels, Heard, Connects, Synced, LongestMS uint64
}

// listen is a sidecar's socket.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the tap's end is compiled with sanitizers")
	}
	dir, err := os.MkdirTemp("", "link")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// link runs the program to its end.
func link(t *testing.T, socket, mode string, flows, packets, pauseUS, syncEvery int) (c counted, said string) {
	t.Helper()
	cmd := exec.Command(compile(t, "link"), socket, mode, fmt.Sprint(flows), fmt.Sprint(packets), fmt.Sprint(pauseUS), fmt.Sprint(syncEvery))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if _, err := fmt.Sscanf(string(out), "sent %d dropped %d refused %d labels %d heard %d connects %d synced %d longest_ms %d",
		&c.Sent, &c.Dropped, &c.Refused, &c.Labels, &c.Heard, &c.Connects, &c.Synced, &c.LongestMS); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return c, stderr.String()
}

// peer is the sidecar's end of one connection.
type peer struct {
	net.Conn
	in  *wire.Decoder
	out *wire.Encoder
}

func accept(t *testing.T, l net.Listener) *peer {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Error(err)
		return nil
	}
	p := &peer{c, wire.NewDecoder(c), wire.NewEncoder(c)}
	var m wire.Message
	if err := p.in.Next(&m); err != nil || m.Kind != wire.KindHello || !m.Hello.Reply || m.Hello.Engine != "zeek" {
		t.Errorf("%v, not HELLO: %+v", err, m)
	}
	return p
}

// serve welcomes the tap, answers each END with a LABEL and each SYNC with SYNCED
// until limit messages were read, or the tap hangs up, and says how many there were.
func (p *peer) serve(t *testing.T, limit int) (messages int) {
	t.Helper()
	p.out.Welcome(&wire.Welcome{Packets: 10, RawBytes: 120})
	var m wire.Message
	for messages < limit {
		// A tap that leaves with labels unread resets the connection.
		if err := p.in.Next(&m); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return messages
		} else if err != nil {
			t.Errorf("after %d messages: %v", messages, err)
			return messages
		}
		messages++
		switch m.Kind {
		case wire.KindEnd:
			p.out.Label(&wire.Label{Flow: m.Flow, Label: "camera", Score: 0.5, Reason: "flow_end", Model: strings.Repeat("m", 200)})
		case wire.KindSync:
			p.out.Synced(m.Token)
		}
	}
	return messages
}

const plenty = 1 << 40

// TestLinkCapture: nothing is dropped, every label comes, also when the sidecar
// reads slowly and says much.
func TestLinkCapture(t *testing.T) {
	l, socket := listen(t)
	messages := make(chan int)
	go func() {
		p := accept(t, l)
		time.Sleep(300 * time.Millisecond)
		messages <- p.serve(t, plenty)
	}()
	c, _ := link(t, socket, "capture", 20_000, 3, 0, 1000)
	if got := <-messages; uint64(got) != c.Sent || c.Dropped+c.Refused > 0 || c.Heard != 20_000 || c.Synced != 21 || c.Connects != 1 {
		t.Errorf("read %d messages of %+v", got, c)
	}
}

// TestLinkCaptureGivesUp: a sidecar that does not answer is waited for once.
func TestLinkCaptureGivesUp(t *testing.T) {
	l, socket := listen(t)
	go func() {
		p := accept(t, l)
		p.out.Welcome(&wire.Welcome{Packets: 10, RawBytes: 120})
		time.Sleep(time.Minute)
		p.Close()
	}()
	begin := time.Now()
	c, said := link(t, socket, "capture", 20_000, 3, 0, 1000)
	if took := time.Since(begin); c.Synced > 0 || took > 20*time.Second || !strings.Contains(said, "no answer in time") {
		t.Errorf("%+v in %v:\n%s", c, took, said)
	}
	// What a socket took nobody can say of whether it was read.
	if c.Sent+c.Dropped < 20_000*4 {
		t.Errorf("%+v: some messages are neither sent nor dropped", c)
	}
}

// TestLinkStalled: live, nothing waits for a sidecar that does not read; what goes
// beyond the buffer is dropped whole, counted, and reported.
func TestLinkStalled(t *testing.T) {
	l, socket := listen(t)
	read := make(chan uint64)
	go func() {
		p := accept(t, l)
		p.out.Welcome(&wire.Welcome{Packets: 10, RawBytes: 120})
		time.Sleep(2 * time.Second)
		read <- uint64(p.serve(t, plenty))
	}()
	c, _ := link(t, socket, "live", 15_000, 6, 100, 1)
	got := <-read
	if c.Dropped == 0 || c.Refused == 0 || got == 0 || got > c.Sent || c.LongestMS > 1000 {
		t.Errorf("read %d messages of %+v", got, c)
	}
}

// TestLinkReconnects: a connection that breaks is made again, and only whole
// messages go over the new one.
func TestLinkReconnects(t *testing.T) {
	l, socket := listen(t)
	read := make(chan int, 2)
	go func() {
		p := accept(t, l)
		read <- p.serve(t, 1000)
		p.Close()
		p = accept(t, l)
		read <- p.serve(t, plenty)
	}()
	c, said := link(t, socket, "live", 15_000, 6, 100, 1)
	if first, second := <-read, <-read; first != 1000 || second < 1000 || c.Connects != 2 || c.LongestMS > 1000 {
		t.Errorf("read %d and %d messages of %+v\n%s", first, second, c, said)
	}
}

// TestLinkNoise: a sidecar that speaks another language is left alone for a while.
func TestLinkNoise(t *testing.T) {
	l, socket := listen(t)
	go func() {
		p := accept(t, l)
		p.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		io.Copy(io.Discard, p)
	}()
	c, said := link(t, socket, "live", 5000, 3, 100, 1)
	if c.Connects > 0 || c.Labels > 0 || !strings.Contains(said, "does not speak the protocol") {
		t.Errorf("%+v\n%s", c, said)
	}
}

// TestLinkAbsent: without a sidecar all is dropped and counted.
func TestLinkAbsent(t *testing.T) {
	for _, mode := range []string{"live", "capture"} {
		c, said := link(t, filepath.Join(t.TempDir(), "nobody"), mode, 5000, 3, 0, 1000)
		if c.Sent > 0 || c.Dropped < 5000*4 || strings.Count(said, "no sidecar at") != 1 {
			t.Errorf("%s: %+v\n%s", mode, c, said)
		}
	}
}
