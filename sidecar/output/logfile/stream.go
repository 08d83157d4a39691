package logfile

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// stream is a target with a reader at its other end, who may stand still: a
// FIFO, a socket, a terminal.
type stream struct {
	out interface {
		io.WriteCloser
		SetWriteDeadline(time.Time) error
	}
	last *atomic.Int64 // Unix time in ns when writing must be over, 0: not yet known
}

// shutdownTime is how long a reader may take nothing before that is an error, and
// how long one that is slow is waited for at the end.
const shutdownTime = time.Second

// piece is as much as a reader has to take within its patience.
const piece = 16 << 10

// Write writes for as long as the reader takes something.
func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) {
		until := time.Now().Add(shutdownTime)
		if last := s.last.Load(); last != 0 && last < until.UnixNano() {
			until = time.Unix(0, last)
		}
		// What knows no deadlines, such as a terminal, does not stand still.
		if err := s.out.SetWriteDeadline(until); err != nil && !errors.Is(err, os.ErrNoDeadline) {
			return n, err
		}
		m, err := s.out.Write(b[n:min(n+piece, len(b))])
		n += m
		if err != nil && (m == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, err
		}
	}
	return n, nil
}

func (s *stream) Close() error { return s.out.Close() }
