package cascade

import (
	"errors"
	"fmt"
	"slices"

	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
)

// Unknown is the class of a flow that no stage accepts.
const Unknown = -1

// Stage is one step of a cascade.
type Stage struct {
	Name    string
	Packets int // packets of a flow that the stage waits for, at least 1
	Plan    *feature.Plan
	Model   model.Model
	Measure Measure
	// Thresholds has, for each class, the confidence from which the stage's answer
	// is accepted. Above 1 the class is never accepted.
	Thresholds []float32
	// Batched stages score many rows at a time, in another goroutine.
	Batched bool
}

// inputs are the packets of a flow that the stage uses.
func (s *Stage) inputs(flow []packet.Packet) []packet.Packet {
	return flow[:min(len(flow), s.Packets)]
}

// Cascade is a sequence of stages over one set of classes.
type Cascade struct {
	Labels []string
	Stages []Stage
}

// New checks that the stages fit each other and the labels.
func New(labels []string, stages []Stage) (*Cascade, error) {
	if len(labels) < 2 {
		return nil, errors.New("a cascade needs at least two labels")
	}
	if len(stages) == 0 {
		return nil, errors.New("a cascade needs at least one stage")
	}
	var errs []error
	for i := range stages {
		s := &stages[i]
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("stage %q: %s", s.Name, fmt.Sprintf(format, args...)))
		}
		if n := s.Model.Classes(); n != len(labels) {
			bad("its model has %d classes but there are %d labels", n, len(labels))
		}
		if s.Packets < 1 {
			bad("packets is %d: a stage needs at least 1", s.Packets)
		}
		if n := s.Plan.Packets(); n > s.Packets {
			bad("a column uses packet %d but the stage waits for %d packets", n, s.Packets)
		}
		if i > 0 && s.Packets < stages[i-1].Packets {
			bad("it waits for fewer packets (%d) than the previous stage (%d)", s.Packets, stages[i-1].Packets)
		}
		switch len(s.Thresholds) {
		case 1:
			s.Thresholds = slices.Repeat(s.Thresholds, len(labels))
		case len(labels):
		default:
			bad("thresholds has %d values: give one for all classes or one for each of %d", len(s.Thresholds), len(labels))
		}
		for _, t := range s.Thresholds {
			if !(t >= 0) {
				bad("thresholds: %v is not a number of at least 0", t)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Cascade{Labels: labels, Stages: stages}, nil
}

// PayloadBytes is how many of a payload's first bytes the stages use; 0: none.
func (c *Cascade) PayloadBytes() int {
	n := 0
	for _, s := range c.Stages {
		n = max(n, s.Plan.PayloadBytes())
	}
	return n
}

// Packets is the number of packets that the cascade may need of a flow.
func (c *Cascade) Packets() int { return c.Stages[c.Last()].Packets }

// Last is the index of the last stage.
func (c *Cascade) Last() int { return len(c.Stages) - 1 }

// LastStageOnly is a cascade of the last stage alone.
func (c *Cascade) LastStageOnly() *Cascade {
	return &Cascade{Labels: c.Labels, Stages: c.Stages[c.Last():]}
}

// NeedsHeaders reports whether a stage uses header bits, which headerless taps do
// not send.
func (c *Cascade) NeedsHeaders() bool {
	return slices.ContainsFunc(c.Stages, func(s Stage) bool { return s.Plan.NeedsHeaders() })
}
