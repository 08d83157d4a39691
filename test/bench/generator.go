package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"serveflow/sidecar/tap/wire"
)

// generator is a tap that plays a schedule. At a rate, it sends no packet of a flow that
// has its label.
type generator struct {
	schedule *schedule
	conn     net.Conn
	labels   *labels
	rate     float64 // new flows per second; 0: flat out
	ending   bool    // no flow is begun any more, and nothing waits until it is due
	started  time.Time
	heard    chan error // what ended the reading of labels
	out      []byte
	dues     []time.Duration // of the messages in out, at a rate
	late     histogram       // by how much messages were written after they were due
	sent     uint64          // events
	begun    int64           // instances
}

func newGenerator(s *schedule, conn net.Conn, rate float64) *generator {
	g := &generator{schedule: s, conn: conn, rate: rate, labels: newLabels(s), started: time.Now(), heard: make(chan error, 1)}
	if rate > 0 {
		g.labels.due = g.due
	}
	return g
}

// read takes labels until all have come.
func (g *generator) read(in *wire.Decoder) { g.heard <- g.labels.read(in, g.started) }

// dial connects to a sidecar and reads its WELCOME.
func dial(ctx context.Context, socket string) (net.Conn, *wire.Decoder, wire.Welcome, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, wire.Welcome{}, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	hello := wire.Hello{Engine: "bench", Sensor: "bench", PID: os.Getpid(), Capture: true, Reply: true}
	in, m := wire.NewDecoder(conn), wire.Message{}
	if err = wire.NewEncoder(conn).Hello(&hello); err == nil {
		err = in.Next(&m)
	}
	if err == nil && m.Kind != wire.KindWelcome {
		err = fmt.Errorf("%v in place of WELCOME: %s", m.Kind, m.Text)
	}
	if err != nil {
		conn.Close()
		return nil, nil, wire.Welcome{}, err
	}
	conn.SetDeadline(time.Time{})
	return conn, in, m.Welcome, nil
}

// patience is how long a sidecar may take to answer.
const patience = time.Minute

// writeSize is how much is written at once, flat out.
const writeSize = 32 << 10

// due is when what lies at so many µs of packet time is to be sent, counted
// from the start.
func (g *generator) due(packetTime int64) time.Duration {
	perPeriod := float64(len(g.schedule.flows)) / g.rate * float64(time.Second)
	return time.Duration(float64(packetTime) / float64(g.schedule.period) * perPeriod)
}

// play sends periods until stop is done; then it begins no more flows, sends
// the rest of those that are under way, at once, and waits for all labels.
func (g *generator) play(stop <-chan struct{}) error {
	s, instances := g.schedule, int64(-1) // how many are begun in all; -1: not known yet
	for period := int64(0); instances < 0 || period < instances+s.laps; period++ {
		select {
		case <-stop:
			if instances < 0 {
				instances, g.ending = period, true
				g.labels.measure(never)
			}
		case err := <-g.heard:
			return fmt.Errorf("the sidecar hung up: %w", err)
		default:
		}
		if err := g.playPeriod(period, instances); err != nil {
			return err
		}
	}
	g.begun = instances
	if err := g.sync(); err != nil {
		return err
	}
	select {
	case err := <-g.heard:
		return err
	case <-time.After(patience):
		return fmt.Errorf("no SYNCED within %v", patience)
	}
}

func (g *generator) playPeriod(period, instances int64) error {
	s := g.schedule
	for i := range s.events {
		e := &s.events[i]
		instance := period - e.lap
		if instance < 0 || instances >= 0 && instance >= instances {
			continue
		}
		if g.rate > 0 && !e.end && g.labels.has(instance, e.flow) {
			continue
		}
		if g.rate > 0 && !g.ending {
			due := g.due(period*s.period + e.at)
			if err := g.await(due); err != nil {
				return err
			}
			g.dues = append(g.dues, due)
		}
		g.out = s.append(g.out, e, instance)
		g.sent++
		if len(g.out) >= writeSize {
			if err := g.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// nap is the shortest time that is slept: what falls due meanwhile is written
// at once, as a tap writes what one turn of its packet loop brought.
const nap = 20 * time.Microsecond

// await waits until a moment, having written what was due before it.
func (g *generator) await(at time.Duration) error {
	wait := at - time.Since(g.started)
	if wait <= 0 {
		return nil
	}
	if err := g.flush(); err != nil {
		return err
	}
	// Not time.Sleep, which may be late by a millisecond.
	for wait = at - time.Since(g.started); wait > 0; wait = at - time.Since(g.started) {
		pause := unix.NsecToTimespec(int64(max(wait, nap)))
		if err := unix.Nanosleep(&pause, nil); err != nil && err != unix.EINTR {
			return err
		}
	}
	return nil
}

func (g *generator) flush() error {
	if len(g.out) == 0 {
		return nil
	}
	now, from := time.Since(g.started), g.labels.measured()
	for _, due := range g.dues {
		if due >= from {
			g.late.add(now - due)
		}
	}
	_, err := g.conn.Write(g.out)
	g.out, g.dues = g.out[:0], g.dues[:0]
	return err
}

func (g *generator) sync() error {
	if err := g.flush(); err != nil {
		return err
	}
	return wire.NewEncoder(g.conn).Sync(1, true)
}
