package ingest

import (
	"errors"
	"slices"
	"sync"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/tap/wire"
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
	named   map[string]*named
}

// named is what is known of a sensor's name.
type named struct {
	runs     []uint32 // its newest numbers, at most maxRuns
	taps     int      // connections whose last events are still to be dealt with
	captures int      // those of them that read captures
}

// maxRuns is how many runs over captures are remembered by their sensor's name:
// what older ones were to be told is long over.
const maxRuns = 16

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
	name := s.name(h.Sensor)
	if len(name.runs) == maxRuns {
		name.runs = append(name.runs[:0], name.runs[1:]...)
	}
	name.runs = append(name.runs, n)
	return n, nil
}

func (s *sensors) name(sensor string) *named {
	n := s.named[sensor]
	if n == nil {
		if s.named == nil {
			s.named = map[string]*named{}
		}
		n = &named{}
		s.named[sensor] = n
	}
	return n
}

// runs are the numbers that a sensor has had lately.
func (s *sensors) runs(sensor string) []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.named[sensor]; n != nil {
		return slices.Clone(n.runs)
	}
	return nil
}

// count adds n to the connections of a source's sensor.
func (s *sensors) count(source *flow.Source, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.name(source.Sensor)
	name.taps += n
	if source.Capture {
		name.captures += n
	}
}

// taps says how many connections a sensor has, and whether one of them reads a
// capture.
func (s *sensors) taps(sensor string) (n int, capture bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := s.named[sensor]; name != nil {
		return name.taps, name.captures > 0
	}
	return 0, false
}
