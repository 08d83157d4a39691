package tune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"serveflow/models/dataset"
	"serveflow/models/tune/bound"
	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/operate/machine"
	"serveflow/sidecar/replay"
)

// The splits of the manifest.
const (
	trainSplit       = "train"
	calibrationSplit = "calibration"
	testSplit        = "test"
)

// Options say what to choose, and how.
type Options struct {
	Candidates string // directory that models/train wrote
	Captures   []dataset.Capture
	Replay     replay.Options
	Bundle     bundle.Options // how models are loaded
	// Costs is the path of costs measured before; empty: they are measured,
	// and written to costs.json among the candidates.
	Costs string
	// Work is where it keeps what the candidates said, so that a run that was
	// stopped goes on; empty: among the candidates.
	Work      string
	Objective search.Objective
	MaxLoss   float64 // of macro F1 against the slow model alone
	Target    float64 // error among accepted flows
	// MetaTarget is the target for taps that see no headers, of whose flows
	// less is known; 0: the same.
	MetaTarget float64
	Delta      float64 // how often the error may be over its target
	// Alarms are the labels that an analyst acts on; nil: those of the candidates.
	Alarms []string
	Limits search.Limits
	Stages int // of a cascade, at most
	// WithoutPayload is the directory of the bundle to serve where bytes of payload
	// are not permitted, which goes into the new one; empty: none.
	WithoutPayload string
	// Slow names the slow model; empty: of the candidates with the most packets
	// the one with the best macro F1.
	Slow string
	// Progress, if set, is called as the work goes on, also from several
	// goroutines, one at a time.
	Progress func(what string, done, total int)
}

// Result is what was chosen, and everything that explains it.
type Result struct {
	Candidates *Candidates
	Options    Options
	Costs      *Costs
	Choices    []*Choice // for packet events, then for meta events
	// Unread says which captures cannot be read, and why. They are left out.
	Unread []error
}

// Choice is the cascade for one kind of events.
type Choice struct {
	Events     string
	Candidates []Candidate
	Models     []search.Candidate
	// The flows of training sessions, which it was chosen by; of calibration
	// sessions, which show the promise; of test sessions, perhaps none.
	Train, Calibration, Test *search.Set
	// Alone is the slow model alone, and Alarms what was shown of each alarm.
	Alone  search.Cascade
	Alarms []Alarm
	// Unlabelled counts the flows besides that nobody knows the label of.
	Unlabelled int
	Singles    []search.Single
	Searched   []search.Option
	Slow       int
	// Proofs are of the short list, in its order.
	Proofs []search.Proof
	// Final is the cascade of the bundle, and Proved whether it has a promise:
	// otherwise it is the slow model alone.
	Final  search.Cascade
	Proved bool
	Level  float64 // of the final thresholds
	// Least is the least target error that the calibration shows of the cascade
	// that the promise is about.
	Least      float64
	Resplits   []search.Resplit
	Importance []Field
	Reference  *drift.Reference
	search     search.Options
}

// promised is the cascade that the promise is about: the final one, or the first
// of the short list if none was shown to keep it.
func (c *Choice) promised() search.Cascade {
	if c.Proved || len(c.Proofs) == 0 {
		return c.Final
	}
	return c.Proofs[0].Cascade
}

// target is the target error for a kind of events.
func (o *Options) target(events string) float64 {
	if events == "meta" && o.MetaTarget > 0 {
		return o.MetaTarget
	}
	return o.Target
}

type tuner struct {
	options    Options
	candidates *Candidates
}

// Run chooses. It writes nothing but costs and what it keeps for another run.
func Run(ctx context.Context, o Options) (*Result, error) {
	c, err := ReadCandidates(o.Candidates)
	if err != nil {
		return nil, err
	}
	if o.Alarms != nil {
		c.Alarms = o.Alarms
		if err := errors.Join(bundle.CheckRoles(c.Labels, c.Alarms, c.Background)...); err != nil {
			return nil, err
		}
	}
	if o.Work == "" {
		o.Work = filepath.Join(o.Candidates, "asked")
	}
	readable, unread := readable(o.Captures)
	o.Captures = readable
	t := &tuner{o, c}
	if err := t.splits(); err != nil {
		return nil, err
	}
	r := &Result{Candidates: c, Options: o, Unread: unread, Costs: &Costs{Machine: machine.Name(), Candidates: map[string]float64{}}}
	if o.Costs != "" {
		if r.Costs, err = ReadCosts(o.Costs, c); err != nil {
			return nil, err
		}
	}
	for _, events := range []string{"packet", "meta"} {
		if len(c.of(events)) == 0 {
			continue
		}
		choice, err := t.choose(ctx, events, r.Costs)
		if err != nil {
			return nil, fmt.Errorf("%s events: %w", events, err)
		}
		r.Choices = append(r.Choices, choice)
	}
	if o.Costs == "" {
		err = os.WriteFile(filepath.Join(o.Candidates, CostsFile), r.Costs.encode(), 0o644)
	}
	return r, err
}

// readable parts captures from those that cannot be read.
func readable(all []dataset.Capture) (list []dataset.Capture, unread []error) {
	for _, c := range all {
		source, err := replay.Open(c.Path)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		source.Close()
		list = append(list, c)
	}
	return list, unread
}

// splits checks that the captures are those that the candidates were trained on,
// and others.
func (t *tuner) splits() error {
	of := map[string]int{}
	for _, c := range t.options.Captures {
		of[c.Split]++
		_, trained := t.candidates.Folds[c.File]
		switch {
		case c.Split == trainSplit && !trained && c.Flows == nil: // else it may have no flow with a label
			return untrained(c)
		case c.Split != trainSplit && trained:
			return fmt.Errorf("capture %s is of split %s and the candidates were trained on it: a promise would be worth nothing", c.File, c.Split)
		}
	}
	for _, split := range []string{trainSplit, calibrationSplit} {
		if of[split] == 0 {
			return fmt.Errorf("no captures of split %s", split)
		}
	}
	return nil
}

func untrained(c dataset.Capture) error {
	return fmt.Errorf("capture %s is of split %s and the candidates were not trained on it: use the manifest they were trained with", c.File, trainSplit)
}

func (t *tuner) choose(ctx context.Context, events string, costs *Costs) (_ *Choice, err error) {
	c := &Choice{Events: events, Candidates: t.candidates.of(events)}
	var l []*loaded
	defer func() {
		for _, one := range l {
			err = errors.Join(err, one.close())
		}
	}()
	for _, one := range c.Candidates {
		m, err := t.candidates.load(one, t.options.Bundle)
		if err != nil {
			return nil, err
		}
		l = append(l, m)
	}
	list := slices.DeleteFunc(slices.Clone(t.options.Captures), func(c dataset.Capture) bool {
		return c.Split != trainSplit && c.Split != calibrationSplit && c.Split != testSplit
	})
	all, err := t.score(ctx, l, events, list)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		c.Unlabelled += a.Unlabelled
	}
	if t.options.Costs == "" {
		if err := t.measure(ctx, l, events, list, costs); err != nil {
			return nil, err
		}
	}
	for _, one := range c.Candidates {
		c.Models = append(c.Models, search.Candidate{Name: one.Name, Packets: one.Packets, Cost: costs.Candidates[one.Name] / 1e3})
	}
	for split, set := range map[string]**search.Set{trainSplit: &c.Train, calibrationSplit: &c.Calibration, testSplit: &c.Test} {
		if *set, err = t.set(list, all, split); err != nil {
			return nil, err
		}
	}
	if len(c.Train.Flows) == 0 || len(c.Calibration.Flows) == 0 {
		return nil, fmt.Errorf("no flow of the protocols %v with a label among the captures to train on, or to calibrate", t.candidates.Features.Protocols)
	}
	if err := t.decide(c); err != nil {
		return nil, err
	}
	if c.Importance, err = t.importance(ctx, c, l, list); err != nil {
		return nil, err
	}
	c.Reference, err = t.reference(ctx, c, list)
	return c, err
}

// decide chooses the cascade.
func (t *tuner) decide(c *Choice) error {
	o := &t.options
	c.search = search.Options{
		Candidates: c.Models, Objective: o.Objective, MaxLoss: o.MaxLoss,
		Target: o.target(c.Events), Delta: o.Delta, Stages: o.Stages, Limits: o.Limits,
	}
	if o.Progress != nil {
		c.search.Progress = func(what string, done, total int) { o.Progress(what+" ("+c.Events+")", done, total) }
	}
	c.Singles = search.Singles(c.Train, c.Calibration, &c.search)
	c.Slow = search.Slowest(c.Singles, c.Models)
	if o.Slow != "" && c.Events == "packet" {
		if c.Slow = slices.IndexFunc(c.Models, func(m search.Candidate) bool { return m.Name == o.Slow }); c.Slow < 0 {
			return fmt.Errorf("no candidate %q", o.Slow)
		}
	}
	c.search.Slow = c.Slow
	alone := search.Alone(c.Singles[c.Slow])
	c.Alone, _ = search.Tighten(c.Train, c.Calibration, alone, c.Singles, c.search)
	c.Final = c.Alone
	c.Searched = search.All(c.Train, c.Singles, c.search)
	said := c.Train.Run(c.Models, alone).Said
	list := search.Shortlist(c.Train, c.Searched, c.search, said)
	c.Proofs = search.Certify(c.Train, c.Calibration, list, c.Singles, c.search)
	calibrated := c.Calibration.Macro(c.Calibration.Run(c.Models, c.Alone).Said)
	tested := []search.Cascade{alone}
	if best, ok := search.Best(c.Proofs, c.search, calibrated); ok {
		c.Final, c.Proved, c.Level = c.Proofs[best].Final, true, c.Proofs[best].Level
		tested = nil
		for _, p := range c.Proofs[:best+1] {
			tested = append(tested, p.Cascade)
		}
	}
	t.alarms(c, tested)
	if len(c.Proofs) == 0 {
		return nil
	}
	promised := c.promised()
	c.Least = bound.Least(c.Calibration.Accepted(c.Calibration.Run(c.Models, promised), 0, len(promised)-1), o.Delta)
	described := c.Calibration
	if len(c.Test.Flows) > 0 {
		described = search.Join(c.Calibration, c.Test)
	}
	c.Resplits = search.Resplits(described, promised, c.search, 200, 1)
	return nil
}
