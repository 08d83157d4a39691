package ingest

import (
	"errors"
	"sync"

	"serveflow/sidecar/wire"
)

// maxSensors bounds how many sensors are remembered.
const maxSensors = 1 << 20

var errSensors = errors.New("too many sensors: give the taps fewer names")

// sensors gives numbers to sensors. Flow ids of one sensor name the same flows
// over all its connections, and after it has connected again. Reading a capture
// is another matter: every run counts its flows anew, so that a capture's
// sensor is one process of it.
type sensors struct {
	mu      sync.Mutex
	numbers map[sensor]uint32
}

type sensor struct {
	name string
	run  int // process id of a capture's reader
}

func (s *sensors) number(h *wire.Hello) (uint32, error) {
	key := sensor{name: h.Sensor}
	if h.Capture {
		key.run = h.PID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.numbers[key]; ok {
		return n, nil
	}
	if len(s.numbers) >= maxSensors {
		return 0, errSensors
	}
	if s.numbers == nil {
		s.numbers = map[sensor]uint32{}
	}
	n := uint32(len(s.numbers))
	s.numbers[key] = n
	return n, nil
}
