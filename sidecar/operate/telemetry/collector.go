package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns sums of cells into metrics: those of the table, and those whose
// labels come from bundles.
type collector struct {
	metrics *Metrics
	reasons []string
	table   []*prometheus.Desc // of the rows of the table

	bundle, decisions, labels *prometheus.Desc
	suppressed                *prometheus.Desc
	driftFlows, driftPSI      *prometheus.Desc
	serving, compute, waits   *prometheus.Desc
	shadow                    shadowDescs
	build                     prometheus.Metric
}

func newCollector(m *Metrics, o Options) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("serveflow_"+name, help, labels, nil)
	}
	c := &collector{
		metrics: m,
		reasons: o.Reasons,

		bundle:     desc("bundle_info", "The bundles in use: the one that new flows begin with, and those that flows in progress began with; always 1.", "bundle", "digest", "state"),
		decisions:  desc("decisions_total", "Decisions, by the stage that made them and by reason.", "stage", "reason"),
		labels:     desc("labels_total", "Decisions, by label.", "label"),
		suppressed: desc("suppressed_total", "Labels that rules of the configuration have kept from flows.", "rule", "label"),
		driftFlows: desc("drift_flows", "Most recently decided flows that drift is measured on.", "cascade"),
		driftPSI:   desc("drift_psi", "Population stability index of the most recently decided flows against the bundle's calibration.", "cascade", "of"),
		serving:    desc("serving_latency_seconds", "Time from a flow's first packet to its decision."),
		compute:    desc("compute_latency_seconds", "Time from the arrival of what triggered a decision to the decision."),
		waits:      desc("wait_seconds", "Waits by where: batches of events in the queue of their shard and in the shard, flows for a model.", "where"),
		build: prometheus.MustNewConstMetric(
			desc("build_info", "The version of the program; always 1.", "version"), gauge, 1, o.Version),
	}
	c.shadow = newShadowDescs(desc)
	for _, m := range table {
		var labels []string
		if m.label != "" {
			labels = append(labels, m.label)
		}
		c.table = append(c.table, desc(m.name, m.help, labels...))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat([]*prometheus.Desc{
		c.build.Desc(), c.bundle, c.decisions, c.labels, c.suppressed, c.driftFlows, c.driftPSI, c.serving, c.compute, c.waits,
	}, c.table, c.shadow.all()) {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	total := c.metrics.sum()
	for i, m := range table {
		for k, value := range m.series() {
			var labels []string
			if m.label != "" {
				labels = append(labels, value)
			}
			ch <- prometheus.MustNewConstMetric(c.table[i], m.kind, float64(total[int(m.first)+k]), labels...)
		}
	}
	ch <- c.build
	made, served := c.metrics.decided()
	for d, n := range made.decisions {
		ch <- prometheus.MustNewConstMetric(c.decisions, counter, float64(n), d.stage, c.reasons[d.reason])
	}
	for label, n := range made.labels {
		ch <- prometheus.MustNewConstMetric(c.labels, counter, float64(n), label)
	}
	c.collectBundles(ch, served)
	c.collectDrift(ch)
	c.collectSuppressed(ch)
	c.collectShadow(ch)
	ch <- histogram(c.serving, total[servingCells:])
	ch <- histogram(c.compute, total[computeCells:])
	for i, where := range waits {
		ch <- histogram(c.waits, total[waitCells+i*(buckets+1):], where)
	}
}

// histogram is the metric of a histogram whose cells begin with those given.
func histogram(d *prometheus.Desc, cells []uint64, labels ...string) prometheus.Metric {
	cumulative, count := map[float64]uint64{}, uint64(0)
	for i, b := range bounds {
		count += cells[i]
		cumulative[b.Seconds()] = count
	}
	count += cells[len(bounds)]
	return prometheus.MustNewConstHistogram(d, count, float64(cells[buckets])/1e9, cumulative, labels...)
}

// collectBundles shows which bundles are served; the newest is last. A bundle that
// was replaced and then served again may be draining twice, and a series may be
// given only once.
func (c *collector) collectBundles(ch chan<- prometheus.Metric, served []Bundle) {
	type shown struct{ name, digest, state string }
	seen := map[shown]bool{}
	for i, b := range served {
		s := shown{b.Name, b.Digest, "draining"}
		if i == len(served)-1 {
			s.state = "serving"
		}
		if !seen[s] {
			seen[s] = true
			ch <- prometheus.MustNewConstMetric(c.bundle, gauge, 1, s.name, s.digest, s.state)
		}
	}
}
