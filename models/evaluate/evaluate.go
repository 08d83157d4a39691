// Package evaluate measures a bundle on labelled captures: how often it is
// right, and how soon.
//
// The captures are replayed to a sidecar over the socket, as by a tap, twice: with the
// cascade, and with its last stage alone on every flow, as the baseline.
//
// A flow's latency is the packet time from its first packet to the last that its label
// used, plus the measured computing time of the deciding stage. A flow that ends or
// times out before a stage has all its packets counts to its last packet.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// Options say what to evaluate on what.
type Options struct {
	Bundle   *bundle.Bundle
	Captures []dataset.Capture
	Replay   replay.Options
	Meta     bool // as a tap that sees no headers
	// NoPayload keeps bytes of payload from the bundle, as privacy.payload = false does.
	NoPayload bool
	// Group is the column of the manifest whose values, such as the sources of the
	// captures, are reported side by side; Natural is the column that is 1 where a
	// capture is a real mixture of traffic, of which there are figures of their own.
	// Neither must exist.
	Group, Natural string
	// Progress, if set, is called after each capture.
	Progress func(done, total int)
}

// flowResult is one flow's label beside the truth.
type flowResult struct {
	truth  string // "" if nobody knows it
	detail string // finer than truth, or ""
	decision.Record
	trace   replay.Trace
	session int // number of the capture
	group   string
	natural bool
	verdict
	weight float64 // 1 over the flows of its capture
}

// ErrUnserved says that a bundle has no cascade for what the tap sees.
var ErrUnserved = errors.New("the bundle has no cascade for taps that see this: evaluate it on other events")

// ErrUnlabelled says that there is nothing to compare with.
var ErrUnlabelled = errors.New("no flow that the bundle serves has a label")

// Run evaluates.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.course() == nil {
		return nil, ErrUnserved
	}
	natural, err := o.natural()
	if err != nil {
		return nil, err
	}
	total := 2 * len(o.Captures)
	done := 0
	step := func() {
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	cascade, trouble, err := o.pass(ctx, o.Bundle, step)
	if err != nil {
		return nil, err
	}
	slow, _, err := o.pass(ctx, o.Bundle.SlowOnly(), step)
	if err != nil {
		return nil, err
	}
	for i := range cascade {
		f := &cascade[i]
		f.natural, f.group = natural[f.session], o.Captures[f.session].Fields[o.Group]
	}
	r := o.report(cascade, slow)
	if r.Captures -= len(trouble.unread); r.Captures == 0 {
		return nil, errors.Join(trouble.unread...)
	}
	if r.Flows == 0 && r.Unlabelled > 0 {
		return nil, ErrUnlabelled
	}
	r.Cut = trouble.cut
	for _, err := range trouble.unread {
		r.Unread = append(r.Unread, err.Error())
	}
	return r, nil
}

// natural says of each capture whether it is a real mixture of traffic.
func (o Options) natural() ([]bool, error) {
	natural := make([]bool, len(o.Captures))
	for i, c := range o.Captures {
		text, given := c.Fields[o.Natural]
		if !given {
			continue
		}
		var err error
		if natural[i], err = strconv.ParseBool(text); err != nil {
			return nil, fmt.Errorf("%s: column %s: %q: write 1 for a real mixture of traffic, else 0", c.File, o.Natural, text)
		}
	}
	return natural, nil
}

// trouble is what was wrong with captures.
type trouble struct {
	cut    []string // files that stop before their end
	unread []error  // why others were left out
}

// pass sends all captures through a sidecar with bundle b.
func (o Options) pass(ctx context.Context, b *bundle.Bundle, step func()) (results []flowResult, t trouble, err error) {
	log := &decisions{}
	s, err := sidecar.StartPrivate(b, !o.NoPayload, log)
	if err != nil {
		return nil, t, err
	}
	defer func() { err = errors.Join(err, s.Stop(ctx)) }()
	for i, capture := range o.Captures {
		flows, err := o.play(ctx, s.Socket, capture, b.Packets(), log)
		switch {
		case errors.As(err, new(*replay.StopError)):
			t.cut = append(t.cut, capture.File)
		case errors.As(err, new(*replay.OpenError)):
			t.unread = append(t.unread, err)
		case err != nil:
			return nil, t, err
		}
		for k := range flows {
			flows[k].session = i
		}
		results = append(results, flows...)
		step()
	}
	return results, t, nil
}

// play returns the flows of a capture. Of one that stops before its end it returns
// what is whole, with the error.
func (o Options) play(ctx context.Context, socket string, c dataset.Capture, packets int, log *decisions) ([]flowResult, error) {
	if info, err := os.Stat(c.Path); err == nil && !info.Mode().IsRegular() {
		return nil, &replay.OpenError{Capture: c.Path, Err: errors.New("it is no regular file, and is read more than once: copy it to one")}
	}
	traces, cut := replay.ReadTraces(c.Path, o.Replay, packets)
	if cut != nil && !errors.As(cut, new(*replay.StopError)) {
		return nil, cut
	}
	source, err := replay.Open(c.Path)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	tap, err := replay.Dial(ctx, socket, replay.TapOptions{Sensor: wire.CleanText(filepath.Base(c.File)), Capture: true, Meta: o.Meta})
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	if _, err := tap.Play(ctx, replay.NewFlows(source, o.Replay)); err != nil && !errors.As(err, new(*replay.StopError)) {
		return nil, fmt.Errorf("playing %s: %w", c.Path, err)
	}
	records := log.take()
	results := make([]flowResult, len(traces))
	answers := make([]groundtruth.Answer, len(traces))
	for _, r := range records {
		id := r.Flow.Uint()
		if id == 0 || id > uint64(len(traces)) || results[id-1].trace.Flow != 0 {
			return nil, fmt.Errorf("%s: flow %d was decided twice or does not exist", c.Path, id)
		}
		trace := traces[id-1]
		a := c.Truth(trace.Tuple, trace.Start)
		answers[id-1] = a
		results[id-1] = flowResult{truth: a.Label, detail: a.Detail, Record: r, trace: trace}
	}
	nearest(results, answers)
	if len(records) != len(traces) {
		return nil, fmt.Errorf("%s: %d of %d flows were decided", c.Path, len(records), len(traces))
	}
	return results, cut
}

// nearest leaves a line of a list that means one flow to the nearest of those that
// it was found for: the truth of the others is not known.
func nearest(results []flowResult, answers []groundtruth.Answer) {
	meant := map[int]int{} // flow by line
	for i, a := range answers {
		if a.Line == 0 {
			continue
		}
		other, taken := meant[a.Line]
		switch {
		case !taken:
			meant[a.Line] = i
		case a.Apart < answers[other].Apart:
			results[other].truth = ""
			meant[a.Line] = i
		default:
			results[i].truth = ""
		}
	}
}

// ms is how long the flow waited for its label.
func (f *flowResult) ms() float64 {
	wait := int64(0)
	if n := min(f.Packets, len(f.trace.Waits)); n > 0 {
		wait = f.trace.Waits[n-1]
	}
	return float64(wait)/1e3 + float64(f.Compute)/float64(time.Millisecond)
}

// decisions collects what the sidecar decides.
type decisions struct {
	mu      sync.Mutex
	records []decision.Record
}

func (d *decisions) Write(r []decision.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r...)
}

func (d *decisions) take() []decision.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.records
	d.records = nil
	return taken
}
