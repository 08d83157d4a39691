// Package telemetry counts what the sidecar does and shows it to Prometheus.
//
// Each goroutine on the packet's way gets counters of its own from NewShard, and
// for every bundle that it serves others from a Serving; counting there is an atomic add
// to memory that no other goroutine writes, takes no lock and allocates
// nothing. Everything else counts on Metrics itself. A scrape sums all of them,
// while they are being written: a counter never goes back, and a histogram's
// count is always the sum of its buckets.
//
// What another package counts or knows already (the depth of a queue, the
// number of peers, records a log had to drop) is read at scrape time by a
// function.
//
// Metrics are named serveflow_<noun>_<unit>. Their labels have few values: the
// stages and classes of the bundle and the fixed lists of this package, never
// anything that comes from the network.
package telemetry

import (
	"slices"
	"sync"
	"time"

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
	counters
	layout   *layout
	registry *prometheus.Registry

	mu       sync.Mutex
	shards   []*Shard
	readings []reading
	load     func() int
	drift    func() []Drift
	warnings []string        // for /healthz
	bundles  []*ServedBundle // the newest last
	retired  decided         // with bundles that are no longer served
}

// reading is a value that is asked for at scrape time.
type reading struct {
	cell int
	read func() uint64
}

// New returns metrics that nobody has counted on.
func New(o Options) *Metrics {
	l := newLayout(o)
	m := &Metrics{counters: newCounters(l), layout: l, registry: prometheus.NewRegistry(), retired: newDecided()}
	m.registry.MustRegister(
		newCollector(m, o),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// NewShard returns counters for one goroutine.
func (m *Metrics) NewShard() *Shard {
	s := &Shard{newCounters(m.layout)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shards = append(m.shards, s)
	return s
}

// Gather implements prometheus.Gatherer.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) { return m.registry.Gather() }

// LogRepaired counts bytes of a torn line that were cut off the label log.
func (m *Metrics) LogRepaired(bytes uint64) { m.cells[m.layout.repaired].Add(bytes) }

// ReadDrops adds what read returns to the drops of a reason: a count kept
// elsewhere, that never goes back.
func (m *Metrics) ReadDrops(d Drop, read func() uint64) {
	m.read(m.layout.drops+int(d), read)
}

// ReadLogErrors adds what read returns to the errors of the label log: a count
// that never goes back.
func (m *Metrics) ReadLogErrors(read func() uint64) { m.read(m.layout.logErrors, read) }

// ReadQueue shows what read returns as the depth of a queue.
func (m *Metrics) ReadQueue(q Queue, read func() int) {
	m.read(m.layout.queues+int(q), func() uint64 { return uint64(max(0, read())) })
}

// Reloaded counts a reload and notes whether it was a success.
func (m *Metrics) Reloaded(r Reload) {
	m.cells[m.layout.reloads+int(r)].Add(1)
	failed := uint64(0)
	if r == ReloadRefused {
		failed = 1
	}
	m.cells[m.layout.reloadFailed].Store(failed)
}

// ReadReload shows what read returns as the time that the reload under way has taken.
func (m *Metrics) ReadReload(read func() time.Duration) {
	m.read(m.layout.reloadTime, func() uint64 { return uint64(max(0, read()) / time.Second) })
}

// ReadLoad shows what read returns as the level of load.
func (m *Metrics) ReadLoad(read func() int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load = read
}

// ReadPeers shows what read returns as the number of connected taps.
func (m *Metrics) ReadPeers(read func() int) {
	m.read(m.layout.peers, func() uint64 { return uint64(max(0, read())) })
}

// ReadEVE shows what the functions return of the output of EVE records: those
// written and those dropped, counts that never go back, and those that wait.
func (m *Metrics) ReadEVE(written, dropped func() uint64, waiting func() int) {
	m.read(m.layout.eveWritten, written)
	m.read(m.layout.eveDropped, dropped)
	m.read(m.layout.eveWaiting, func() uint64 { return uint64(max(0, waiting())) })
}

// loadLevel is the level of load, 0 if nobody tells.
func (m *Metrics) loadLevel() uint64 {
	m.mu.Lock()
	read := m.load
	m.mu.Unlock()
	if read == nil {
		return 0
	}
	return uint64(max(0, read()))
}

func (m *Metrics) read(cell int, read func() uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readings = append(m.readings, reading{cell, read})
}

// sum adds up the cells of everybody who counts.
func (m *Metrics) sum() []uint64 {
	m.mu.Lock()
	shards, readings := slices.Clone(m.shards), slices.Clone(m.readings)
	m.mu.Unlock()

	total := make([]uint64, m.layout.size)
	m.addTo(total)
	for _, s := range shards {
		s.addTo(total)
	}
	for _, r := range readings {
		total[r.cell] += r.read()
	}
	return total
}
