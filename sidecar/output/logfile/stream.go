package logfile

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// stream is a target with a reader that may stop reading: a FIFO, a socket, a
// terminal.
type stream struct {
	out interface {
		io.WriteCloser
		SetWriteDeadline(time.Time) error
	}
	last *atomic.Int64 // deadline of all writing as Unix time in ns, 0: none yet
}

// shutdownTime is how long a reader may read nothing before that is an error, and
// how long Close waits for a slow one.
const shutdownTime = time.Second

// piece is how much a reader must read within shutdownTime.
const piece = 16 << 10

// Write writes for as long as the reader reads.
func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) {
		until := time.Now().Add(shutdownTime)
		if last := s.last.Load(); last != 0 && last < until.UnixNano() {
			until = time.Unix(0, last)
		}
		// What has no deadlines, such as a terminal, does not block.
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
