// Package suppress holds the rules of a site for labels that it does not want: those that are
// false for some of its hosts and ports, or below a score.
package suppress

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"serveflow/sidecar/features/packet"
)

// Rule matches flows with a label. Each condition that is set has to hold.
type Rule struct {
	Label    string
	Networks []netip.Prefix // either end is in one of these; empty: anywhere
	Ports    []uint16       // of the responder; empty: any
	Below    float32        // the score is lower; 0: any
}

// Rules are a list of rules and how often each has matched. The zero pointer has none.
// It may be used by many goroutines at once.
type Rules struct {
	rules []Rule
	hits  []atomic.Uint64
}

// New returns rules, nil for none.
func New(rules []Rule) *Rules {
	if len(rules) == 0 {
		return nil
	}
	return &Rules{rules, make([]atomic.Uint64, len(rules))}
}

// Match reports whether a decision is suppressed, and counts the first rule that does.
// It takes no lock and allocates nothing.
func (r *Rules) Match(label string, t *packet.Tuple, score float32) bool {
	if r == nil {
		return false
	}
	for i := range r.rules {
		if r.rules[i].matches(label, t, score) {
			r.hits[i].Add(1)
			return true
		}
	}
	return false
}

func (r *Rule) matches(label string, t *packet.Tuple, score float32) bool {
	switch {
	case label != r.Label, r.Below > 0 && score >= r.Below:
		return false
	case len(r.Ports) > 0 && (t.Proto == packet.ICMP || t.Proto == packet.ICMPv6 || !slices.Contains(r.Ports, t.DstPort)):
		return false
	case len(r.Networks) == 0:
		return true
	}
	src, dst := t.SrcAddr(), t.DstAddr()
	for _, n := range r.Networks {
		if n.Contains(src) || n.Contains(dst) {
			return true
		}
	}
	return false
}

// Hit is a rule, by its place in the configuration from 1 on, and how often it matched.
type Hit struct {
	Rule  int
	Label string
	Count uint64
}

// Hits returns those of all rules.
func (r *Rules) Hits() (all []Hit) {
	if r == nil {
		return nil
	}
	for i := range r.rules {
		all = append(all, Hit{i + 1, r.rules[i].Label, r.hits[i].Load()})
	}
	return all
}
