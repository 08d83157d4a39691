package drift

import "sync"

const (
	// half is how many flows the newer half of a window takes before it becomes
	// the older one: a window has the last flows, half to twice half of them. It is
	// of flows and not of time, so that an index is as sure on a quiet network as
	// on a busy one, and a capture's is the same however fast it is played.
	half = 5000
	// minFlows is how many flows an index has to rest on to be told: of ten bins, it
	// is about 0.01 then although nothing has changed.
	minFlows = 1000
)

// Window keeps the counts of the last flows of several counters.
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

// NewCounter returns a counter for a window: of features it takes a sample.
func (w *Window) NewCounter() (*Counter, error) {
	c, err := w.profile.NewCounter()
	if err == nil {
		c.random = 1
	}
	return c, err
}

// Take takes over what a counter of the window has counted.
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

// Read returns the number of flows in the window, and the indexes that rest on
// enough of them.
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
