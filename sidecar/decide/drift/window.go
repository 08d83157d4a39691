package drift

import "sync"

const (
	// half is how many flows the newer half of a window takes before it becomes
	// the older half, so a window has half to twice half flows. The window is of
	// flows, not of time, so that an index is as precise on an idle network as on
	// a busy one, and that of a capture does not depend on the replay speed.
	half = 5000
	// minFlows is the minimum number of flows for an index to be reported. With
	// ten bins and no change, the index is about 0.01 then.
	minFlows = 1000
)

// Window has the counts of the most recent flows of several counters.
type Window struct {
	profile *Profile
	mu      sync.Mutex
	newer   counts
	older   counts
}

type counts struct {
	flows int
	bins  []int
}

// Index is one index of a window.
type Index struct {
	Of  string // "score", "label", "stage", or "feature:" and its name
	PSI float64
}

// NewWindow returns an empty window.
func NewWindow(p *Profile) *Window {
	return &Window{
		profile: p,
		newer:   counts{bins: make([]int, len(p.expected))},
		older:   counts{bins: make([]int, len(p.expected))},
	}
}

// NewCounter returns a counter for the window, which samples features.
func (w *Window) NewCounter() (*Counter, error) {
	c, err := w.profile.NewCounter()
	if err == nil {
		c.random = 1
	}
	return c, err
}

// Take moves the counts of a counter to the window.
func (w *Window) Take(c *Counter) {
	if c.flows == 0 {
		return
	}
	w.mu.Lock()
	if w.newer.flows >= half {
		w.newer, w.older = w.older, w.newer
		w.newer.flows = 0
		clear(w.newer.bins)
	}
	w.newer.flows += c.flows
	for i, n := range c.counts {
		w.newer.bins[i] += n
	}
	w.mu.Unlock()
	c.flows = 0
	clear(c.counts)
}

// Read returns the number of flows in the window, and the indexes with enough
// flows.
func (w *Window) Read() (flows int, indexes []Index) {
	p := w.profile
	sum := make([]int, len(p.expected))
	w.mu.Lock()
	flows = w.newer.flows + w.older.flows
	for i := range sum {
		sum[i] = w.newer.bins[i] + w.older.bins[i]
	}
	w.mu.Unlock()
	for i, g := range p.groups {
		if actual := p.bins(sum, i); total(actual) >= minFlows {
			indexes = append(indexes, Index{g.of, PSI(p.of(i), actual)})
		}
	}
	return flows, indexes
}
