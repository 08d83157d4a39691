package tune

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/sidecar/model"
)

// learn fills in the profiles of the candidates: of each model, with the flows of
// the training captures that it was trained on.
func (t *tuner) learn(ctx context.Context, l []*loaded, events string, list []dataset.Capture) error {
	if !t.options.Novelty {
		return nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(c dataset.Capture) bool { return c.Split != trainSplit })
	var adding sync.Mutex
	return t.each(ctx, l, events, "looking at what was trained on", list, func(s *scorer, i int) error {
		return s.learn(ctx, list[i], t.candidates, t.fold(list[i]), &adding)
	})
}

// learn adds the flows of a training capture of a fold to the profiles of the
// models that were trained on it.
func (s *scorer) learn(ctx context.Context, c dataset.Capture, known *Candidates, own int, adding *sync.Mutex) error {
	_, err := extract.ReadFlows(ctx, c, s.replay, s.packets, s.meta, func(fl *extract.Flow) error {
		if !s.features.Serves(fl.Packets[0].Proto) {
			return nil
		}
		label := c.Truth(fl.Tuple, fl.Start).Label
		if label == "" {
			return nil
		}
		class := known.class(label)
		if class < 0 {
			return fmt.Errorf("capture %s: the candidates do not know the label %q", c.File, label)
		}
		packets := fl.Packets[:s.seen(fl)]
		for i, candidate := range s.candidates {
			for fold := -1; fold < len(candidate.folds) && candidate.whole.profile != nil; fold++ {
				if fold == own {
					continue
				}
				sc, err := s.score(i, fold, packets)
				if err != nil {
					return fmt.Errorf("%s: %w", candidate.Name, err)
				}
				adding.Lock()
				candidate.of(fold).profile.Add(class, s.row, sc.(model.Trees))
				adding.Unlock()
			}
		}
		return nil
	})
	return err
}

// digest tells profiles of candidates from others.
func digest(l []*loaded) string {
	h := sha256.New()
	for _, one := range l {
		for fold := -1; fold < len(one.folds); fold++ {
			if p := one.of(fold).profile; p != nil {
				h.Write(p.Encode())
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
