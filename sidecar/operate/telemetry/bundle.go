package telemetry

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Bundle identifies a served bundle and has the label values of its counters.
type Bundle struct {
	Name   string   // name and version
	Digest string   // distinguishes two bundles of one name
	Stages []string // stages of all cascades, as Decision numbers them; a name may repeat
	Labels []string // its classes
}

// ServedBundle counts what is decided with one bundle, from Activate to Retire.
type ServedBundle struct {
	metrics *Metrics
	bundle  Bundle
	rows    []*Decisions
}

// NewServedBundle returns the counters of a bundle that is about to be served.
func (m *Metrics) NewServedBundle(b Bundle) *ServedBundle {
	return &ServedBundle{metrics: m, bundle: b}
}

// NewShard returns counters for one goroutine, which counts everything else on
// shard. It is called before Activate.
func (s *ServedBundle) NewShard(shard *Shard) *Decisions {
	labels := (1 + len(s.bundle.Stages)) * shard.reasons
	d := &Decisions{
		shard: shard, labels: labels,
		cells: make([]atomic.Uint64, pad+labels+1+len(s.bundle.Labels)+pad)[pad : pad+labels+1+len(s.bundle.Labels)],
	}
	s.rows = append(s.rows, d)
	return d
}

// Activate shows the bundle as the one that is served, in place of the previous one,
// which is draining from now on.
func (s *ServedBundle) Activate() {
	m := s.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bundles = append(m.bundles, s)
}

// Retire notes that nobody counts on s any more. Its counts remain.
func (s *ServedBundle) Retire() {
	m := s.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.bundles, s); i >= 0 {
		m.bundles = slices.Delete(m.bundles, i, i+1)
		s.addTo(m.retired)
	}
}

// addTo adds the counts to t, by name.
func (s *ServedBundle) addTo(t decided) {
	for _, d := range s.rows {
		for i, stage := range slices.Concat([]string{noStage}, s.bundle.Stages) {
			for k := range d.shard.reasons {
				t.decisions[decision{stage, k}] += d.cells[i*d.shard.reasons+k].Load()
			}
		}
		for i, label := range slices.Concat([]string{unknown}, s.bundle.Labels) {
			t.labels[label] += d.cells[d.labels+i].Load()
		}
	}
}

// noStage stands for the stage of a decision without a model, and unknown for the
// label of one that no stage accepted.
const (
	noStage = "none"
	unknown = "unknown"
)

// decided is sums of decisions by label values.
type decided struct {
	decisions map[decision]uint64
	labels    map[string]uint64
}

type decision struct {
	stage  string
	reason int
}

func newDecided() decided { return decided{map[decision]uint64{}, map[string]uint64{}} }

// decided sums the decisions with all bundles, and returns the served bundles, the
// newest last.
func (m *Metrics) decided() (decided, []Bundle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := decided{maps.Clone(m.retired.decisions), maps.Clone(m.retired.labels)}
	var served []Bundle
	for _, s := range m.bundles {
		s.addTo(total)
		served = append(served, s.bundle)
	}
	return total, served
}

// Decisions counts decisions for one goroutine with one bundle. It may be read
// and written by many, but is only fast while one writes.
type Decisions struct {
	shard  *Shard
	labels int             // cell of the unknown label
	cells  []atomic.Uint64 // [1+stage][reason], then [1+class]
}

// Decision counts a decision: the number of its stage (-1: no model was asked) and
// of its reason, the class (-1: unknown), the time from the flow's first packet,
// and that from the arrival of what triggered it.
func (d *Decisions) Decision(stage, reason, class int, serving, compute time.Duration) {
	s := d.shard
	d.cells[(stage+1)*s.reasons+reason].Add(1)
	d.cells[d.labels+class+1].Add(1)
	s.observe(servingCells, serving)
	s.observe(computeCells, compute)
}
