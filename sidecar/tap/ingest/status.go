package ingest

import (
	"cmp"
	"slices"
	"sync/atomic"

	"serveflow/sidecar/operate/telemetry"
)

// progress is what others may see of a connection while its reader goes on.
type progress struct {
	events, dropped atomic.Uint64
	message, packet atomic.Int64 // µs since the epoch: the last message's arrival, the newest packet's time
}

// Status returns the connected taps by sensor and process id.
func (s *Server) Status() []telemetry.TapStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]telemetry.TapStatus, 0, len(s.peers))
	for p := range s.peers {
		t := p.tap
		t.Welcomed = p.welcomed
		t.Events, t.Dropped = p.progress.events.Load(), p.progress.dropped.Load()
		t.LastMessage = float64(p.progress.message.Load()) / 1e6
		t.PacketTime = float64(p.progress.packet.Load()) / 1e6
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b telemetry.TapStatus) int {
		return cmp.Or(cmp.Compare(a.Sensor, b.Sensor), cmp.Compare(a.PID, b.PID))
	})
	return all
}
