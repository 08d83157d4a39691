package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Comparison says how the labels that two bundles have given a flow compare.
type Comparison uint8

// The comparisons. A flow that neither has decided, for want of packets or time, is not
// compared.
const (
	Agrees Comparison = iota
	Differs
	ServedOnly // the shadow has not decided it
	ShadowOnly // the bundle that is served has not
	comparisons
)

var comparisonNames = [comparisons]string{"agrees", "differs", "served_only", "shadow_only"}

// Shadow is the metrics of a shadow bundle: of one that decides beside the bundle that
// is served.
type Shadow struct {
	*Metrics
	log func() int // lines that its log has dropped

	mu     sync.Mutex
	shards []*Agreement
}

// NewShadow returns metrics that nobody has counted on. logDropped returns how many
// lines of the shadow's log were dropped.
func NewShadow(o Options, logDropped func() int) *Shadow {
	return &Shadow{Metrics: New(o), log: logDropped}
}

// Agreement counts for one shard how the labels of two bundles compare. It may be used
// by many goroutines, but is only fast while one counts.
type Agreement struct {
	shed   atomic.Uint64
	mu     sync.Mutex
	counts map[string]*[comparisons]uint64
}

// NewAgreement returns counters for one shard.
func (s *Shadow) NewAgreement() *Agreement {
	a := &Agreement{counts: map[string]*[comparisons]uint64{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shards = append(s.shards, a)
	return a
}

// Count counts a flow by the label of the bundle that is served, or by that of the shadow
// if that alone has decided it.
func (a *Agreement) Count(label string, c Comparison) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.counts[label]
	if n == nil {
		n = new([comparisons]uint64)
		a.counts[label] = n
	}
	n[c]++
}

// Shed counts events that the shadow was not given, because the sidecar was busy.
func (a *Agreement) Shed(events int) { a.shed.Add(uint64(events)) }

// compared adds up all shards.
func (s *Shadow) compared() (shed uint64, flows map[string][comparisons]uint64) {
	s.mu.Lock()
	shards := slices.Clone(s.shards)
	s.mu.Unlock()
	flows = map[string][comparisons]uint64{}
	for _, a := range shards {
		shed += a.shed.Load()
		a.mu.Lock()
		for label, n := range a.counts {
			total := flows[label]
			for c := range total {
				total[c] += n[c]
			}
			flows[label] = total
		}
		a.mu.Unlock()
	}
	return shed, flows
}

// ReadShadow sets the function that returns the metrics of the present shadow, nil
// without one.
func (m *Metrics) ReadShadow(read func() *Shadow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shadow = read
}

// shadowDescs are the metrics of a shadow.
type shadowDescs struct {
	bundle, flows, decisions, labels, shed, log *prometheus.Desc
	driftFlows, driftPSI, compute               *prometheus.Desc
}

func newShadowDescs(desc func(name, help string, labels ...string) *prometheus.Desc) shadowDescs {
	return shadowDescs{
		bundle:     desc("shadow_bundle_info", "The shadow bundle; always 1.", "bundle", "digest"),
		flows:      desc("shadow_flows_total", "Flows, by how the labels of the bundle that is served and of the shadow compare, and by the former's label.", "label", "result"),
		decisions:  desc("shadow_decisions_total", "Decisions of the shadow, by the stage that made them and by reason.", "stage", "reason"),
		labels:     desc("shadow_labels_total", "Decisions of the shadow, by label.", "label"),
		shed:       desc("shadow_shed_events_total", "Events that the shadow was not given, because the sidecar was busy."),
		log:        desc("shadow_log_dropped_total", "Lines that the shadow's label log could not write in time."),
		driftFlows: desc("shadow_drift_flows", "Most recently decided flows that the shadow's drift is measured on.", "cascade"),
		driftPSI:   desc("shadow_drift_psi", "Population stability index of the most recently decided flows against the shadow's calibration.", "cascade", "of"),
		compute:    desc("shadow_compute_latency_seconds", "Time from the arrival of what triggered a decision of the shadow to the decision."),
	}
}

func (d *shadowDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.bundle, d.flows, d.decisions, d.labels, d.shed, d.log, d.driftFlows, d.driftPSI, d.compute}
}

func (c *collector) collectShadow(ch chan<- prometheus.Metric) {
	c.metrics.mu.Lock()
	read := c.metrics.shadow
	c.metrics.mu.Unlock()
	if read == nil {
		return
	}
	s := read()
	if s == nil {
		return
	}
	d := &c.shadow
	count := func(desc *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, counter, float64(n), labels...)
	}
	shed, flows := s.compared()
	for label, n := range flows {
		for i, name := range comparisonNames {
			count(d.flows, n[i], label, name)
		}
	}
	count(d.shed, shed)
	count(d.log, uint64(max(s.log(), 0)))
	made, served := s.decided()
	for of, n := range made.decisions {
		count(d.decisions, n, of.stage, c.reasons[of.reason])
	}
	for label, n := range made.labels {
		count(d.labels, n, label)
	}
	for _, b := range served {
		ch <- prometheus.MustNewConstMetric(d.bundle, gauge, 1, b.Name, b.Digest)
	}
	for _, one := range s.Drift() {
		ch <- prometheus.MustNewConstMetric(d.driftFlows, gauge, float64(one.Flows), one.Cascade)
		for _, i := range one.PSI {
			ch <- prometheus.MustNewConstMetric(d.driftPSI, gauge, i.Value, one.Cascade, i.Of)
		}
	}
	total := s.sum()
	ch <- histogram(d.compute, total[computeCells:])
}
