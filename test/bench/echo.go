package bench

import (
	"fmt"
	"io"
	"net"

	"serveflow/sidecar/tap/wire"
)

// echo answers in place of a sidecar, and does nothing else: the first packet of each
// flow is its label. What its labels take is the floor of the machine, of its sockets and
// of the generator.
func echo(path string, need wire.Welcome) (stop func() error, err error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- echoOne(l, need) }()
	return func() error {
		l.Close()
		return <-done
	}, nil
}

// echoOne serves the one tap that comes, until it hangs up.
func echoOne(l net.Listener, need wire.Welcome) error {
	conn, err := l.Accept()
	if err != nil {
		return nil // none came
	}
	defer conn.Close()
	out := &batched{to: conn}
	encoder := wire.NewEncoder(out)
	if err := encoder.Welcome(&need); err != nil {
		return err
	}
	var m wire.Message
	label := wire.Label{Label: "echo", Stage: "echo", Packets: 1, Model: "echo", Reason: "accepted"}
	for in := wire.NewDecoder(flushing{conn, out}); err == nil; err = in.Next(&m) {
		switch {
		case m.Kind == wire.KindPacket && m.OrigPkts+m.RespPkts == 1:
			label.Flow = m.Flow
			err = encoder.Label(&label)
		case m.Kind == wire.KindSync:
			err = encoder.Synced(m.Token)
		}
		m.Kind = wire.KindHello
		if err != nil {
			return err
		}
	}
	if err == io.EOF {
		return nil
	}
	return fmt.Errorf("echo: %w", err)
}

// batched keeps what is written until it is flushed.
type batched struct {
	to  io.Writer
	buf []byte
}

func (b *batched) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	return len(p), nil
}

// flushing writes what is due before it reads, as it may wait then.
type flushing struct {
	from io.Reader
	out  *batched
}

func (f flushing) Read(p []byte) (int, error) {
	if len(f.out.buf) > 0 {
		_, err := f.out.to.Write(f.out.buf)
		f.out.buf = f.out.buf[:0]
		if err != nil {
			return 0, err
		}
	}
	return f.from.Read(p)
}
