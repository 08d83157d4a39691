package bench

import (
	"fmt"
	"strings"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
)

// Mode says which stages of a bundle are asked.
type Mode string

// The modes.
const (
	Cascade Mode = "cascade" // as they stand
	Slow    Mode = "slow"    // the last stage, about every flow
	Fast    Mode = "fast"    // the first stage, about every flow
)

// Modes are all modes.
var Modes = []Mode{Cascade, Slow, Fast}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error {
	for _, known := range Modes {
		if string(text) == string(known) {
			*m = known
			return nil
		}
	}
	return fmt.Errorf("%q is no mode: use %s, %s or %s", strings.TrimSpace(string(text)), Cascade, Slow, Fast)
}

// of is b with the stages of mode m. It shares the models.
func (m Mode) of(b *bundle.Bundle) *bundle.Bundle {
	switch m {
	case Slow:
		return b.SlowOnly()
	case Fast:
		fast := *b
		fast.Packet, fast.Meta = first(b.Packet), first(b.Meta)
		return &fast
	}
	return b
}

func first(c *cascade.Cascade) *cascade.Cascade {
	if c == nil {
		return nil
	}
	return &cascade.Cascade{Labels: c.Labels, Stages: c.Stages[:1]}
}
