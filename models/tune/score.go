package tune

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
	"serveflow/sidecar/replay"
)

// answered is a capture's flows and what every candidate says of them.
type answered struct {
	Labels []string    // of each flow
	Waits  [][]float64 // of each flow, in ms
	By     []search.Answers
	// Unlabelled counts the flows besides that nobody knows the label of.
	Unlabelled int
}

// scorer asks candidates about captures. It belongs to one goroutine.
type scorer struct {
	candidates []*loaded
	scorers    []map[int]model.Scorer // by fold, -1 the whole model
	row, probs []float32
	packets    int
	meta       bool
	features   *bundle.Features
	replay     replay.Options
}

func newScorer(c *Candidates, l []*loaded, meta bool, o replay.Options) *scorer {
	s := &scorer{
		candidates: l, scorers: make([]map[int]model.Scorer, len(l)), probs: make([]float32, len(c.Labels)),
		packets: c.Features.Packets, meta: meta, features: &c.Features, replay: o,
	}
	for i := range s.scorers {
		s.scorers[i] = map[int]model.Scorer{}
	}
	return s
}

// capture asks about all flows of a capture that the bundle will serve and that
// have a label.
func (s *scorer) capture(ctx context.Context, c dataset.Capture, fold int) (*answered, error) {
	a := &answered{By: make([]search.Answers, len(s.candidates))}
	var err error
	a.Unlabelled, err = s.read(ctx, c, func(fl *extract.Flow, label string, seen int) error {
		a.Labels = append(a.Labels, label)
		waits := make([]float64, seen)
		for k := range waits {
			waits[k] = float64(fl.Wait(k)) / 1e3
		}
		a.Waits = append(a.Waits, waits)
		for i := range s.candidates {
			if err := s.ask(&a.By[i], i, fold, fl.Packets[:seen]); err != nil {
				return fmt.Errorf("%s: %w", s.candidates[i].Name, err)
			}
		}
		return nil
	})
	return a, err
}

// read calls each for all flows of a capture that models of the bundle are asked
// about and that have a label, with how many of their packets the sidecar sees. It returns how
// many others it would serve.
func (s *scorer) read(ctx context.Context, c dataset.Capture, each func(fl *extract.Flow, label string, seen int) error) (unlabelled int, err error) {
	_, err = extract.ReadFlows(ctx, c, s.replay, s.packets, s.meta, func(fl *extract.Flow) error {
		if !s.features.Serves(fl.Packets[0].Proto) {
			return nil
		}
		if n := s.seen(fl); n < s.packets && packet.Silent(fl.Packets[:n]) {
			return nil // no model is asked
		}
		label := c.Truth(fl.Tuple, fl.Start).Label
		if label == "" {
			unlabelled++
			return nil
		}
		return each(fl, label, s.seen(fl))
	})
	return unlabelled, err
}

// seen is how many of the first packets come before the flow is quiet for so long
// that the sidecar decides it.
func (s *scorer) seen(fl *extract.Flow) int {
	quiet := int64(s.features.IdleTimeout) * int64(time.Second/time.Microsecond)
	for k := 1; k < len(fl.Packets); k++ {
		if quiet > 0 && fl.Wait(k)-fl.Wait(k-1) >= quiet {
			return k
		}
	}
	return len(fl.Packets)
}

// ask asks candidate i about a flow's first packets, and adds what it says.
func (s *scorer) ask(a *search.Answers, i, fold int, packets []packet.Packet) error {
	if err := s.score(i, fold, packets); err != nil {
		return err
	}
	best := 0
	for k, p := range s.probs {
		if p > s.probs[best] {
			best = k
		}
	}
	score := s.probs[best]
	if n := s.candidates[i].Packets; n < s.packets && packet.Silent(packets[:min(len(packets), n)]) {
		score = 0 // only the last stage would be asked
	}
	a.Class, a.Score = append(a.Class, int16(best)), append(a.Score, score)
	return nil
}

// score has candidate i, without a fold or whole, score a flow's first packets. The
// probabilities stay with s.
func (s *scorer) score(i, fold int, packets []packet.Packet) error {
	sc, err := s.scorer(i, fold)
	if err != nil {
		return err
	}
	m := s.candidates[i].of(fold)
	s.row = slices.Grow(s.row[:0], m.plan.Width())[:m.plan.Width()]
	m.plan.Encode(s.row, packets[:min(len(packets), s.candidates[i].Packets)])
	return sc.Score(s.probs, s.row, 1)
}

// scorer is the scorer of candidate i, without a fold or whole.
func (s *scorer) scorer(i, fold int) (model.Scorer, error) {
	if s.scorers[i][fold] == nil {
		sc, err := s.candidates[i].of(fold).model.NewScorer()
		if err != nil {
			return nil, err
		}
		s.scorers[i][fold] = sc
	}
	return s.scorers[i][fold], nil
}

func (s *scorer) close() error {
	var first error
	for _, of := range s.scorers {
		for _, sc := range of {
			if err := sc.Close(); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// score asks the candidates about all captures, and returns what they say in the
// order of the captures. What is kept from an earlier run is not asked again.
func (t *tuner) score(ctx context.Context, l []*loaded, events string, list []dataset.Capture) ([]*answered, error) {
	all := make([]*answered, len(list))
	err := t.each(ctx, l, events, "asking candidates", list, func(s *scorer, i int) (err error) {
		all[i], err = t.kept(events, list[i], func() (*answered, error) {
			return s.capture(ctx, list[i], t.fold(list[i]))
		})
		return err
	})
	return all, err
}

// each does something with each capture, side by side, with a scorer of the
// goroutine's own.
func (t *tuner) each(ctx context.Context, l []*loaded, events, what string, list []dataset.Capture, do func(s *scorer, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	var mu sync.Mutex
	next, done := 0, 0
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		running.Go(func() {
			s := newScorer(t.candidates, l, events == "meta", t.options.Replay)
			defer func() {
				if err := s.close(); err != nil {
					stop(err)
				}
			}()
			for ctx.Err() == nil {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(list) {
					return
				}
				if err := do(s, i); err != nil {
					stop(err)
					return
				}
				mu.Lock()
				if done++; t.options.Progress != nil {
					t.options.Progress(what+" ("+events+")", done, len(list))
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// fold is the fold of a training capture, -1 of another.
func (t *tuner) fold(c dataset.Capture) int {
	if fold, ok := t.candidates.Folds[c.File]; ok && c.Split == trainSplit {
		return fold
	}
	return -1
}

// set makes a set of the captures of one split.
func (t *tuner) set(list []dataset.Capture, all []*answered, split string) (*search.Set, error) {
	s := &search.Set{Classes: len(t.candidates.Labels), Roles: t.candidates.roles()}
	sessions := 0
	sources := map[string]int{"": 0}
	for _, c := range list {
		if _, ok := sources[c.Source]; !ok {
			sources[c.Source] = len(sources)
		}
	}
	for i, c := range list {
		a := all[i]
		if c.Split != split || len(a.Waits) == 0 {
			continue
		}
		if _, trained := t.candidates.Folds[c.File]; split == trainSplit && !trained {
			return nil, untrained(c)
		}
		for k, waits := range a.Waits {
			class := t.candidates.class(a.Labels[k])
			if class < 0 {
				return nil, fmt.Errorf("capture %s: the candidates do not know the label %q", c.File, a.Labels[k])
			}
			s.Flows = append(s.Flows, search.Flow{Class: class, Session: sessions, Source: sources[c.Source], Waits: waits})
		}
		sessions++
		if s.By == nil {
			s.By = make([]search.Answers, len(a.By))
		}
		for k := range a.By {
			s.By[k].Class = append(s.By[k].Class, a.By[k].Class...)
			s.By[k].Score = append(s.By[k].Score, a.By[k].Score...)
		}
	}
	return s, nil
}
