// Package steady has taps that send flows at a steady rate, and the sidecar that they send
// them to, for tests that do harm to what lies beyond it.
package steady

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
	"serveflow/test/frames"
)

// ends is how many pairs of ends the flows have: each is the key of many flows, whose ids
// grow.
const ends = 500

// Tap is a live tap that sends flows at a steady rate, whatever becomes of them, and
// comes back after its sidecar was killed.
type Tap struct {
	t      *testing.T
	socket string
	sensor string
	next   uint64
	stop   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	due     map[uint64]time.Time
	latency []time.Duration // of flows that the first stage accepted
	slow    []time.Duration // of the others
	reasons map[string]int
	sent    int
}

// Run begins to send so many flows a second.
func (s *Sidecar) Run(sensor string, rate int) *Tap {
	p := &Tap{t: s.t, socket: s.Socket(), sensor: sensor, next: 1, stop: make(chan struct{}), ended: make(chan struct{}), due: map[uint64]time.Time{}, reasons: map[string]int{}}
	go p.send(rate)
	return p
}

// End ends the tap and waits until its last flows are decided.
func (p *Tap) End() {
	close(p.stop)
	<-p.ended
}

func (p *Tap) send(rate int) {
	defer close(p.ended)
	const step = 5 * time.Millisecond
	var conn net.Conn
	owed := 0.0
	for due := time.Now(); ; due = due.Add(step) {
		time.Sleep(time.Until(due))
		select {
		case <-p.stop:
			if conn != nil {
				time.Sleep(500 * time.Millisecond) // labels come
				conn.Close()
			}
			return
		default:
		}
		if conn == nil {
			if conn = p.connect(); conn == nil {
				owed = 0
				continue
			}
		}
		e := wire.NewEncoder(conn)
		for owed += float64(rate) * step.Seconds(); owed >= 1; owed-- {
			if err := p.flow(e, due); err != nil {
				conn.Close()
				conn = nil
				break
			}
		}
	}
}

func (p *Tap) connect() net.Conn {
	conn, err := net.Dial("unix", p.socket)
	if err != nil {
		return nil
	}
	if wire.NewEncoder(conn).Hello(&wire.Hello{Version: wire.Version, Engine: "test", Sensor: p.sensor, Reply: true}) != nil {
		conn.Close()
		return nil
	}
	go p.listen(conn)
	return conn
}

func (p *Tap) listen(conn net.Conn) {
	var m wire.Message
	for in := wire.NewDecoder(conn); in.Next(&m) == nil; {
		if m.Kind != wire.KindLabel {
			continue
		}
		now := time.Now()
		p.mu.Lock()
		id := m.Label.Flow.Uint()
		if due, ok := p.due[id]; ok && m.Label.Stage == "fast" && m.Label.Reason == "accepted" {
			p.latency = append(p.latency, now.Sub(due))
		} else if ok {
			p.slow = append(p.slow, now.Sub(due))
		}
		p.reasons[m.Label.Reason]++
		delete(p.due, id)
		p.mu.Unlock()
	}
}

// flow sends a flow: every other one is decided at its first packet, the rest at the third.
func (p *Tap) flow(e *wire.Encoder, due time.Time) error {
	id := p.next
	p.next++
	port, packets := uint16(53), uint64(1)
	if id%2 == 0 {
		port, packets = 80, 3
	}
	p.mu.Lock()
	p.due[id] = due
	p.sent++
	p.mu.Unlock()
	for i := range packets {
		if err := e.Packet(&wire.Message{
			Flow: wire.UintID(id), Time: due.UnixMicro() + int64(i), OrigPkts: i + 1,
			WireLen: 40, Link: uint32(packet.RawIP), Raw: frames.Headers(uint32(id%ends), port),
		}); err != nil {
			return err
		}
	}
	return nil
}

// Quantiles are the median, the 99th percentile and the maximum of the latencies since the
// last call: of flows that the first stage accepted, or of the others.
func (p *Tap) Quantiles(fast bool) [3]time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := &p.latency
	if !fast {
		all = &p.slow
	}
	defer func() { *all = nil }()
	if len(*all) == 0 {
		return [3]time.Duration{}
	}
	slices.Sort(*all)
	at := func(share float64) time.Duration {
		return (*all)[int(share*float64(len(*all)-1))].Round(10 * time.Microsecond)
	}
	return [3]time.Duration{at(.5), at(.99), at(1)}
}

// Reasons are how many labels came with each reason since the last call, and how many
// flows have none yet.
func (p *Tap) Reasons() (reasons map[string]int, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reasons, p.reasons = p.reasons, map[string]int{}
	return reasons, len(p.due)
}
