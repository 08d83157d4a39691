package tune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/models/tune/search"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// CostsFile is the name under which a bundle keeps the costs it was chosen by.
const CostsFile = "costs.json"

// Costs say what it costs on a machine to ask each candidate about a flow,
// encoding included, one flow at a time.
type Costs struct {
	Machine    string             `json:"machine"`
	Candidates map[string]float64 `json:"candidates_us"` // by name, in µs
}

// ReadCosts reads a file of costs and checks that all candidates are in it.
func ReadCosts(path string, c *Candidates) (*Costs, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	costs := new(Costs)
	if err := dec.Decode(costs); err != nil {
		return nil, fmt.Errorf("costs %s: %w", path, err)
	}
	var errs []error
	for _, one := range c.Candidate {
		if us, ok := costs.Candidates[one.Name]; !ok || !(us >= 0) {
			errs = append(errs, fmt.Errorf("costs %s: no cost of candidate %q: measure again, without --costs", path, one.Name))
		}
	}
	return costs, errors.Join(errs...)
}

func (c *Costs) encode() []byte {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // names and finite numbers
	}
	return append(text, '\n')
}

// How costs are measured: so many flows, asked about again and again in passes of
// which the fastest counts, for what else the machine does only makes it slower. It
// is the fastest for each few flows: on a busy machine no pass of a large model
// is left alone from end to end.
const (
	costFlows  = 200
	costPasses = 15
	costBlock  = 16
)

// measure measures the candidates for a kind of events on flows of these
// captures.
func (t *tuner) measure(ctx context.Context, l []*loaded, events string, list []dataset.Capture, into *Costs) (err error) {
	s := newScorer(t.candidates, l, events == "meta", t.options.Replay)
	defer func() { err = errors.Join(err, s.close()) }()
	flows, err := t.sample(ctx, s, list)
	if err != nil {
		return err
	}
	fastest := make([][]time.Duration, len(l)) // of each block
	for pass := range costPasses {
		for i := range l { // in turn, so that a busy moment hits them alike
			for k := 0; k*costBlock < len(flows); k++ {
				block := flows[k*costBlock : min((k+1)*costBlock, len(flows))]
				took, err := s.time(i, block)
				if err != nil {
					return err
				}
				if pass == 0 {
					fastest[i] = append(fastest[i], took)
				}
				fastest[i][k] = min(fastest[i][k], took)
			}
		}
		if t.options.Progress != nil {
			t.options.Progress("measuring costs ("+events+")", pass+1, costPasses)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i, one := range l {
		total := time.Duration(0)
		for _, took := range fastest[i] {
			total += took
		}
		into.Candidates[one.Name] = math.Round(float64(total)/float64(len(flows))) / 1e3
	}
	return nil
}

// time is how long it takes to ask candidate i about flows: as many at once as a sidecar
// asks about.
func (s *scorer) time(i int, flows [][]packet.Packet) (time.Duration, error) {
	n := len(flows)
	said := search.Answers{Class: make([]int16, 0, n), Score: make([]float32, 0, n)}
	m := s.candidates[i].of(-1)
	batch := 1
	if sc, err := s.scorer(i, -1); err != nil {
		return 0, err
	} else if b, ok := sc.(model.Batched); ok {
		batch = b.BatchSize()
	}
	width, classes := m.plan.Width(), len(s.probs)
	rows, probs := make([]float32, batch*width), make([]float32, batch*classes)
	start := time.Now()
	for len(flows) > 0 {
		some := flows[:min(batch, len(flows))]
		flows = flows[len(some):]
		if batch == 1 {
			if err := s.ask(&said, i, -1, some[0]); err != nil {
				return 0, err
			}
			continue
		}
		for k, packets := range some {
			m.plan.Encode(rows[k*width:], packets[:min(len(packets), s.candidates[i].Packets)])
		}
		if err := s.scorers[i][-1].Score(probs[:len(some)*classes], rows[:len(some)*width], len(some)); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// sample returns the first packets of flows of the captures, from as many of them
// as it takes, evenly.
func (t *tuner) sample(ctx context.Context, s *scorer, list []dataset.Capture) ([][]packet.Packet, error) {
	var flows [][]packet.Packet
	step := max(len(list)/40, 1)
	for i := 0; i < len(list) && len(flows) < costFlows; i += step {
		of := 0
		_, err := extract.ReadFlows(ctx, list[i], t.options.Replay, s.packets, s.meta, func(fl *extract.Flow) error {
			if s.features.Serves(fl.Packets[0].Proto) && of < 2*costFlows/40 && len(flows) < costFlows {
				flows = append(flows, slices.Clone(fl.Packets))
				of++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(flows) == 0 {
		return nil, errors.New("no flow to measure costs with")
	}
	return flows, nil
}
