package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"serveflow/sidecar/tap/wire"
)

// Labelled is a flow of a capture and its label. Label.Reason is empty if none
// came.
type Labelled struct {
	Trace
	Label wire.Label
}

// LabelFile plays a capture, which may be a pipe, to the sidecar that listens on
// socket, and calls each for every flow with its label. Memory is bounded by the
// flows that are open: each 10,000 that have ended are handed out, in the order of
// their numbers, as soon as they have their labels. t.OnLabel is its own. Of a
// capture that stops before its end, what is whole is played, and a *StopError is
// returned.
func LabelFile(ctx context.Context, socket, path string, t TapOptions, o Options, each func(*Labelled) error) (Report, error) {
	source, err := openUntil(ctx, path)
	if err != nil {
		return Report{}, err
	}
	defer source.Close()
	defer context.AfterFunc(ctx, source.interrupt)()
	l := &labelling{Flows: NewFlows(source, o), each: each, flows: map[uint64]*Labelled{}}
	t.OnLabel = l.label
	tap, err := Dial(ctx, socket, t)
	if err != nil {
		return Report{}, err
	}
	defer tap.Close()
	report, err := tap.Play(ctx, l)
	if err == nil || errors.As(err, new(*StopError)) {
		if failed := l.rest(); failed != nil {
			return report, failed
		}
	}
	return report, err
}

// labelling joins the flows of a capture with their labels.
type labelling struct {
	*Flows
	each  func(*Labelled) error
	ended []*Labelled // flows that are over, in this order, not yet handed out
	known int         // how many of them, from the first on, have their label

	mu      sync.Mutex // guards the labels, which another goroutine writes
	flows   map[uint64]*Labelled
	last    uint64 // number of the newest flow
	strange int    // labels of flows that the capture does not have
}

// Next records the flow of the next event, and passes on what is complete.
func (l *labelling) Next(ev *Event) error {
	if err := l.ready(); err != nil {
		return err
	}
	if err := l.Flows.Next(ev); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch fl := l.flows[ev.Flow]; {
	case ev.Kind == EndEvent:
		l.ended = append(l.ended, fl)
	case fl == nil:
		fl = &Labelled{Trace: Trace{Flow: ev.Flow, Tuple: ev.Tuple, Start: ev.Time}}
		l.flows[ev.Flow], l.last = fl, ev.Flow
		fallthrough
	default:
		fl.Packets++
	}
	return nil
}

func (l *labelling) label(label wire.Label) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fl := l.flows[label.Flow.Uint()]; fl != nil {
		fl.Label = label
	} else if n := label.Flow.Uint(); n == 0 || n > l.last {
		l.strange++
	}
}

// blockFlows is how many flows are handed out together: which they are depends on the
// capture alone, not on how soon labels come.
const blockFlows = 10_000

// ready hands out the first block of ended flows once all of it has labels.
func (l *labelling) ready() error {
	if len(l.ended) < blockFlows {
		return nil
	}
	l.mu.Lock()
	for ; l.known < blockFlows && l.ended[l.known].Label.Reason != ""; l.known++ {
	}
	l.mu.Unlock()
	if l.known < blockFlows {
		return nil
	}
	return l.handOut(blockFlows)
}

// handOut hands out the first n flows that have ended.
func (l *labelling) handOut(n int) error {
	flows := l.ended[:n]
	l.ended, l.known = slices.Clone(l.ended[n:]), 0
	slices.SortFunc(flows, func(a, b *Labelled) int { return cmp.Compare(a.Flow, b.Flow) })
	l.mu.Lock()
	for _, fl := range flows {
		delete(l.flows, fl.Flow)
	}
	l.mu.Unlock()
	for _, fl := range flows {
		if err := l.each(fl); err != nil {
			return err
		}
	}
	return nil
}

// rest hands out all that are left, when no more labels can come.
func (l *labelling) rest() error {
	for len(l.ended) > 0 {
		if err := l.handOut(min(len(l.ended), blockFlows)); err != nil {
			return err
		}
	}
	if l.strange > 0 {
		return fmt.Errorf("%d labels are for flows that the capture does not have", l.strange)
	}
	return nil
}

// openUntil is Open that gives up when ctx is done: a FIFO opens when something
// else opens it to write, which may be never.
func openUntil(ctx context.Context, path string) (*Source, error) {
	type opened struct {
		*Source
		err error
	}
	done := make(chan opened, 1)
	go func() {
		source, err := Open(path)
		done <- opened{source, err}
	}()
	select {
	case o := <-done:
		return o.Source, o.err
	case <-ctx.Done():
		go func() {
			if o := <-done; o.err == nil {
				o.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}
