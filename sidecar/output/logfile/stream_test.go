package logfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// until waits for something that must come.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not yet:", what)
		}
	}
}

// numbers reads the flow numbers of whole lines until n have come or the other
// end hangs up.
func numbers(r *bufio.Reader, n int) (got []int) {
	for len(got) < n {
		line, err := r.ReadBytes('\n')
		var f struct{ Flow int }
		if err != nil || json.Unmarshal(line, &f) != nil {
			return got
		}
		got = append(got, f.Flow)
	}
	return got
}

// Nobody listens on the socket at first, then somebody does, hangs up in the
// middle of a line, and listens again.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shipper.sock")
	var seen reports
	l := mustOpen(t, Socket+path, Options{OnError: seen.add}, nil)
	l.write(numbered(0, 3))
	if err := l.Flush(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	must(t, l.Reopen())
	listen := func() *net.UnixListener {
		os.Remove(path)
		shipper, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		must(t, err)
		t.Cleanup(func() { shipper.Close() })
		return shipper
	}
	shipper := listen()
	must(t, l.Flush())
	conn, err := shipper.AcceptUnix()
	must(t, err)
	inOrder(t, numbers(bufio.NewReader(conn), 3), 0, 3)

	// More than the socket holds: the writer stands in a line when it ends.
	must(t, conn.SetReadBuffer(1))
	const many = 20_000
	l.write(numbered(3, many))
	if err := l.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	first := numbers(r, 50)
	shipper.Close()
	conn.Close()
	if err := l.Flush(); err == nil {
		t.Fatal("wrote to a connection that is gone")
	}
	shipper = listen()
	flushed := make(chan error)
	go func() { flushed <- l.Flush() }()
	conn, err = shipper.AcceptUnix()
	must(t, err)
	inOrder(t, first, 3, 50)
	// What lay in the socket is lost; the rest begins with a whole line.
	r = bufio.NewReader(conn)
	one := numbers(r, 1)
	if len(one) != 1 {
		t.Fatal("the first line is not whole")
	}
	inOrder(t, numbers(r, many+2-one[0]), one[0]+1, many+2-one[0])
	must(t, <-flushed)
	must(t, l.Close())
	if len(seen.errs) != 4 { // absent, there, stalled and gone, there
		t.Errorf("reported %v", seen.errs)
	}
}

// A FIFO that nobody reads: Add goes on, what exceeds the bound is counted,
// closing does not wait for ever, and what the reader finds is in order.
func TestStalledPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	var seen reports
	l := mustOpen(t, path, Options{OnError: seen.add, Buffer: 1 << 20}, nil)
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer r.Close()
	lines := numbered(0, 1000)
	const rounds = 200
	for range rounds {
		l.write(lines)
	}
	until(t, "an error", func() bool { return l.Stats().Errors > 0 })
	if l.Stats().Dropped == 0 {
		t.Error("nothing was dropped")
	}
	in := bufio.NewReader(r)
	for range 3 {
		inOrder(t, numbers(in, 1000), 0, 1000)
	}
	before := time.Now()
	if err := l.Close(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(before); took > 10*time.Second {
		t.Errorf("closing took %v", took)
	}
	left := len(numbers(in, rounds*1000))
	s := l.Stats()
	if s.Written+s.Dropped != rounds*1000 || s.Written != int64(3000+left) {
		t.Errorf("%+v, and %d lines were in the pipe", s, left)
	}
}
