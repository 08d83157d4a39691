// Package telemetry counts what the sidecar does and shows it to Prometheus.
//
// Metrics whose labels have fixed values are rows of one table, and each of their
// series is a Cell: a new metric is a Cell and a row. Metrics whose labels come from
// a bundle count on a ServedBundle.
//
// Each goroutine on the hot path has its own counters from NewShard, and further ones
// for every bundle that it serves. Counting there is an atomic add to memory that no
// other goroutine writes; it takes no lock and allocates nothing. Everything else
// counts on Metrics itself. A scrape sums all of them while they are being written: a
// counter never goes back, and a histogram's count is always the sum of its buckets.
//
// What another package counts already (the depth of a queue, the number of peers,
// records that a log has dropped) is read at scrape time by a function, see Read.
//
// Metrics are named serveflow_<noun>_<unit>. Their labels have few values: the stages
// and classes of the bundle and the fixed lists of this package, never anything that
// comes from the network.
package telemetry

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Options are the names that metrics are labelled with.
type Options struct {
	Version string   // of the program
	Reasons []string // reasons of decisions, as Decision numbers them
}

// Metrics are all metrics of a process. Its methods may be called by many
// goroutines at once.
type Metrics struct {
	row
	reasons  int
	registry *prometheus.Registry

	mu         sync.Mutex
	shards     []*Shard
	readings   []reading
	drift      func() []Drift
	warnings   map[string][]string // for /healthz, by what they are about
	status     func() Status
	suppressed func() []Suppressed
	shadow     func() *Shadow
	bundles    []*ServedBundle // the newest last
	retired    decided         // with bundles that are no longer served
}

// reading is a value that is read at scrape time.
type reading struct {
	cell Cell
	read func() int
}

// New returns metrics that nobody has counted on.
func New(o Options) *Metrics {
	m := &Metrics{row: newRow(), reasons: len(o.Reasons), registry: prometheus.NewRegistry(), retired: newDecided(), warnings: map[string][]string{}}
	m.Set(LastReloadSuccessful, 1)
	m.registry.MustRegister(
		newCollector(m, o),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// NewShard returns counters for one goroutine.
func (m *Metrics) NewShard() *Shard {
	s := &Shard{newRow(), m.reasons}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shards = append(m.shards, s)
	return s
}

// Register adds the metrics of a part that collects its own. It is called once for each.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Gather implements prometheus.Gatherer.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) { return m.registry.Gather() }

// Reloaded counts a reload by its result.
func (m *Metrics) Reloaded(result Cell) {
	m.Count(result, 1)
	succeeded := 1
	if result == ReloadRefused {
		succeeded = 0
	}
	m.Set(LastReloadSuccessful, succeeded)
}

// Read adds what read returns to a cell at every scrape. For a counter, read must
// never return less than before.
func (m *Metrics) Read(c Cell, read func() int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readings = append(m.readings, reading{c, read})
}

// sum adds up the cells of all rows and readings.
func (m *Metrics) sum() []uint64 {
	m.mu.Lock()
	shards, readings := slices.Clone(m.shards), slices.Clone(m.readings)
	m.mu.Unlock()

	total := make([]uint64, rowCells)
	m.addTo(total)
	for _, s := range shards {
		s.addTo(total)
	}
	for _, r := range readings {
		total[r.cell] += uint64(max(0, r.read()))
	}
	return total
}
