package replay

import (
	"context"
	"errors"
	"io"
	"time"

	"serveflow/sidecar/tap/wire"
)

// Events is what a Tap plays: Flows, or what watches them.
type Events interface {
	Next(*Event) error
	Counts() Counts
}

// Play sends the events of flows and then SYNC final, and returns when the
// sidecar has answered that with SYNCED: by then every label has come. A Tap
// plays once.
//
// If the capture stops before its end, what is whole is played and its labels
// come, and then the *StopError is returned.
func (t *Tap) Play(ctx context.Context, flows Events) (Report, error) {
	stop := context.AfterFunc(ctx, func() { t.Close() })
	defer stop()
	started := time.Now()
	err := t.play(ctx, flows)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	t.report.Elapsed = time.Since(started)
	t.report.Capture = flows.Counts()
	t.report.Labels += t.conn.labels.Load()
	return t.report, err
}

func (t *Tap) play(ctx context.Context, flows Events) error {
	if t.options.Capture {
		if err := t.conn.welcome(); err != nil {
			return err
		}
	}
	pace := pace{speed: t.options.Speed}
	stats := int64(0) // when STATS is due
	var ev Event
	for {
		var stopped *StopError
		if err := flows.Next(&ev); err == io.EOF {
			return t.finish(ctx)
		} else if errors.As(err, &stopped) {
			if err := t.finish(ctx); err != nil {
				return err
			}
			return stopped
		} else if err != nil {
			return err
		}
		if wait := pace.wait(ev.Time); wait > 0 {
			if err := t.flush(ctx); err != nil {
				return err
			}
			t.sleep(ctx, wait)
		}
		t.report.Steps = pace.steps
		if err := t.send(&ev); err != nil {
			return err
		}
		if ev.Time >= stats {
			// Also moves the clock when no more is wanted of the flows that
			// have packets.
			stats = ev.Time + statsEvery
			if err := t.encode.Stats(ev.Time, t.out.total-t.report.Lost, t.report.Lost); err != nil {
				return err
			}
		}
		if len(t.out.b) >= batchSize {
			if err := t.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// statsEvery is how often STATS is sent, in µs of packet time.
const statsEvery = second

// send encodes an event, if the sidecar wants it.
func (t *Tap) send(ev *Event) error {
	id := wire.UintID(ev.Flow)
	if ev.Kind == EndEvent {
		t.wanted.ended(ev.Flow)
		return t.encode.End(id, ev.Time)
	}
	need := t.conn.need.Load()
	if need == nil {
		need = &beforeWelcome
	}
	index := ev.OrigPkts + ev.RespPkts
	if index > uint64(need.Packets) || !t.wanted.packet(ev.Flow, index) {
		return nil
	}
	t.report.Events++
	m := &t.message
	m.Flow, m.Time, m.Dir = id, ev.Time, uint8(ev.Dir)
	m.OrigPkts, m.RespPkts = ev.OrigPkts, ev.RespPkts
	if t.options.Meta {
		metaMessage(m, ev, need)
		return t.encode.Meta(m)
	}
	PacketMessage(m, ev, need)
	return t.encode.Packet(m)
}

// flush writes the encoded messages, over a new connection if necessary.
func (t *Tap) flush(ctx context.Context) error {
	if err := t.conn.send(t.out); err != nil {
		return t.recover(ctx, err)
	}
	return nil
}

// finish ends all flows and waits for their labels.
func (t *Tap) finish(ctx context.Context) error {
	const attempts = 3
	for token := uint64(1); ; token++ {
		if err := t.encode.Sync(token, true); err != nil {
			return err
		}
		err := t.conn.send(t.out)
		if err == nil {
			err = t.conn.sync(token)
		}
		if err == nil || token == attempts {
			return err
		}
		if err := t.recover(ctx, err); err != nil {
			return err
		}
	}
}

// recover reconnects after the connection was lost, if the tap may.
func (t *Tap) recover(ctx context.Context, broken error) error {
	var said *SidecarError
	if !t.options.Reconnect || errors.As(broken, &said) && said.lasting() {
		return broken
	}
	return t.redial(ctx, broken)
}

// sleep waits, unless ctx is done.
func (t *Tap) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-t.conn.done:
	}
}
