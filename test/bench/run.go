package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"serveflow/models/dataset"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// Options say what to measure.
type Options struct {
	Captures []dataset.Capture // their labels are empty where the truth is not known
	Replay   replay.Options
	Bundle   string // as bundle.Open takes it
	Modes    []Mode // measured in turn
	Repeat   int    // times each
	// Rate is new flows per second; 0 is flat out, after which each mode is
	// measured at Share of what it reached, if that is not 0.
	Rate, Share float64
	// Before Duration, not counted: flat out, and at a rate, where it takes longer than
	// flow.idle_timeout until flows are decided as often as they begin.
	Warmup, RateWarmup time.Duration
	Duration           time.Duration
	Cores              int      // bind the sidecar to so many processors, the generator to the others; 0: bind neither
	Shards             int      // as flow.shards
	Inference          []string // as inference.endpoints
	Profile            string   // write a CPU profile of each sidecar to this name and a number
	// Command starts a process that calls Serve; Base, if set, one of another program,
	// which is measured in turn with it.
	Command, Base []string
	// Progress, if set, is called with the step in progress.
	Progress func(string)
}

// Run measures.
func Run(ctx context.Context, o Options) (*Report, error) {
	own, others, err := o.share()
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		if err := bindProcess(others); err != nil {
			return nil, err
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(len(others), generatorGoroutines)))
	}
	r := newReport(o)
	schedules := &schedules{options: o, of: map[played]*schedule{}}
	programs := [][]string{o.Command}
	if len(o.Base) > 0 {
		programs = [][]string{o.Base, o.Command}
	}
	round := func(rate func(Mode) float64) error {
		for range o.Repeat {
			for _, mode := range o.Modes {
				for i, command := range programs {
					o.Progress(fmt.Sprintf("%s, measurement %d", mode, len(r.Passes)+1))
					p, err := o.pass(ctx, command, mode, schedules, rate(mode), own, len(r.Passes))
					if err != nil {
						return fmt.Errorf("%s, %s: %w", command[0], mode, err)
					}
					p.Base = i < len(programs)-1
					r.Passes = append(r.Passes, p)
				}
			}
		}
		return nil
	}
	if err := round(func(Mode) float64 { return o.Rate }); err != nil {
		return nil, err
	}
	if o.Rate == 0 && o.Share > 0 {
		for _, m := range o.Modes {
			if r.sustained(m) == 0 {
				return nil, fmt.Errorf("%s: no flow was decided in %v: measure for longer", m, o.Duration)
			}
		}
		if err := round(func(m Mode) float64 { return o.Share * r.sustained(m) }); err != nil {
			return nil, err
		}
	}
	r.sum()
	if open := r.Modes[0].Open; open != nil {
		o.Progress("echo")
		if r.Echo, err = o.echo(ctx, schedules, open.Rate.Median, own); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// generatorGoroutines send, read labels and ask for samples. Were there one processor for
// them, Go would let one run at a time, and labels would wait while packets are sent.
const generatorGoroutines = 3

// share divides the processors between the sidecar and the generator.
func (o Options) share() (own, others []int, err error) {
	if o.Cores == 0 {
		return nil, nil, nil
	}
	all, err := allowed()
	if err != nil {
		return nil, nil, err
	}
	if o.Cores > len(all) {
		return nil, nil, fmt.Errorf("%d cores: this process may run on %d", o.Cores, len(all))
	}
	return all[:o.Cores], all[o.Cores:], nil
}

// sampleEvery is how often a sidecar is asked how it is while it is measured.
const sampleEvery = 500 * time.Millisecond

// pass measures one sidecar.
func (o Options) pass(ctx context.Context, command []string, mode Mode, schedules *schedules, rate float64, cpus []int, number int) (pass *Pass, err error) {
	first := setup{Bundle: o.Bundle, Mode: mode, Shards: o.Shards, Inference: o.Inference}
	if o.Profile != "" {
		first.Profile = fmt.Sprintf("%s.%d", o.Profile, number)
	}
	p, err := start(ctx, command, first, cpus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	g, samples, err := o.play(ctx, p, schedules, rate)
	if err != nil {
		return nil, err
	}
	return newPass(mode, g, p.idle, samples), nil
}

// echo measures what answers in place of a sidecar.
func (o Options) echo(ctx context.Context, schedules *schedules, rate float64, cpus []int) (e *Echo, err error) {
	p, err := start(ctx, o.Command, setup{Mode: o.Modes[0], Echo: &schedules.last}, cpus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	g, _, err := o.play(ctx, p, schedules, rate)
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	return &Echo{rate, g.labels.latency.quantiles(), g.late.quantiles()}, nil
}

// schedules are the schedules by what a sidecar asks for, in which programs and modes
// differ, and by the rate.
type schedules struct {
	options Options
	of      map[played]*schedule
	last    wire.Welcome // that was asked for
}

type played struct {
	need wire.Welcome
	rate float64
}

func (s *schedules) get(need wire.Welcome, rate float64) (one *schedule, err error) {
	p := played{need, rate}
	if s.last, one = need, s.of[p]; one == nil {
		one, err = newSchedule(s.options.Captures, s.options.Replay, need, rate)
		s.of[p] = one
	}
	return one, err
}

// play plays the captures to a process and watches it.
func (o Options) play(ctx context.Context, p *process, schedules *schedules, rate float64) (*generator, []*Sample, error) {
	conn, in, need, err := dial(ctx, socket(p.dir))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	s, err := schedules.get(need, rate)
	if err != nil {
		return nil, nil, err
	}
	g := newGenerator(s, conn, rate)
	stop, played := make(chan struct{}), make(chan error, 1)
	go g.read(in)
	go func() { played <- g.play(stop) }()
	samples, err := o.watch(ctx, p, g, played)
	if err != nil {
		return nil, nil, err
	}
	close(stop)
	return g, samples, <-played
}

// watch lets the generator play, and asks the sidecar at the beginning, the end
// and in between.
func (o Options) watch(ctx context.Context, p *process, g *generator, played <-chan error) (samples []*Sample, err error) {
	pause := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case err := <-played:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	warmup := o.Warmup
	if g.rate > 0 {
		warmup = o.RateWarmup
	}
	if err := pause(warmup); err != nil {
		return nil, err
	}
	g.labels.measure(time.Since(g.started))
	for until := time.Now().Add(o.Duration); ; {
		s, err := p.sample()
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
		left := time.Until(until)
		if left <= 0 {
			return samples, nil
		}
		if err := pause(min(left, sampleEvery)); err != nil {
			return nil, err
		}
	}
}
