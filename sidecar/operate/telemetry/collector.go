package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// collector turns sums of counters into metrics.
type collector struct {
	metrics *Metrics
	reasons []string

	build, bundle, events, drops, queues, peers *prometheus.Desc
	flows, opened, overdue, decisions, verdicts *prometheus.Desc
	logErrors, repaired                         *prometheus.Desc
	eve, eveOutput                              *prometheus.Desc
	eveWaited, eveWaiting                       *prometheus.Desc
	reloads, reloaded, reloadTime               *prometheus.Desc
	load, loads                                 *prometheus.Desc
	driftFlows, driftPSI                        *prometheus.Desc
	serving, compute                            *prometheus.Desc
	info                                        prometheus.Metric
}

func newCollector(m *Metrics, o Options) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("serveflow_"+name, help, labels, nil)
	}
	c := &collector{
		metrics: m,
		reasons: o.Reasons,

		build:      desc("build_info", "The version of the program; always 1.", "version"),
		bundle:     desc("bundle_info", "The bundles in use: the one that new flows go to, and those that older flows began with; always 1.", "bundle", "digest", "state"),
		events:     desc("events_total", "Messages from taps.", "kind"),
		drops:      desc("drops_total", "What was not used, and why.", "reason"),
		queues:     desc("queue_depth", "What waits: event batches for shards, flows for a batched stage.", "queue"),
		peers:      desc("peers", "Connected taps."),
		flows:      desc("flows", "Flows tracked now."),
		opened:     desc("flows_total", "Flows seen."),
		overdue:    desc("overdue_flows_total", "Live flows that waited longer than flow.deadline for their decision."),
		decisions:  desc("decisions_total", "Decisions, by the stage that made them and what led to it.", "stage", "reason"),
		verdicts:   desc("labels_total", "Decisions, by their label.", "label"),
		logErrors:  desc("log_errors_total", "Failed writes, rotations and openings of the label log."),
		repaired:   desc("log_bytes_repaired_total", "Bytes of torn lines cut off the label log."),
		eve:        desc("eve_records_total", "Records of Suricata's EVE log, by what became of them.", "result"),
		eveOutput:  desc("eve_output_records_total", "Records of EVE that were written to their output, and those that it did not take.", "result"),
		eveWaited:  desc("eve_waited_total", "Flow records of EVE that waited for their label."),
		eveWaiting: desc("eve_waiting", "Flow records of EVE that wait for their label now."),

		reloads:    desc("reloads_total", "Reloads, by how they ended.", "result"),
		reloadTime: desc("reload_duration_seconds", "For how long the reload under way has lasted; 0 while there is none."),
		reloaded:   desc("last_reload_successful", "Whether the last reload was, or there was none."),
		load:       desc("load_level", "How far the most loaded shard bends: 0 not at all, 1 to 4 thresholds lowered by so many steps, 5 it sheds."),
		loads:      desc("load_transitions_total", "How often a shard began to bend more or less.", "to"),

		driftFlows: desc("drift_flows", "Flows decided last, that drift is measured on.", "cascade"),
		driftPSI:   desc("drift_psi", "Population stability index of the flows decided last against those that the bundle was calibrated on.", "cascade", "of"),

		serving: desc("serving_latency_seconds", "Time from a flow's first packet to its decision."),
		compute: desc("compute_latency_seconds", "Time from the arrival of what triggered a decision to the decision."),
	}
	c.info = prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, o.Version)
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.build, c.bundle, c.events, c.drops, c.queues, c.peers, c.flows, c.opened, c.overdue,
		c.decisions, c.verdicts, c.logErrors, c.repaired, c.eve, c.eveOutput, c.eveWaited, c.eveWaiting,
		c.reloads, c.reloaded, c.reloadTime, c.load, c.loads, c.driftFlows, c.driftPSI, c.serving, c.compute,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	l, total := c.metrics.layout, c.metrics.sum()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	histogram := func(d *prometheus.Desc, cells []uint64, nanos uint64) {
		cumulative, count := map[float64]uint64{}, uint64(0)
		for i, b := range bounds {
			count += cells[i]
			cumulative[b.Seconds()] = count
		}
		count += cells[len(bounds)]
		ch <- prometheus.MustNewConstHistogram(d, count, float64(nanos)/1e9, cumulative)
	}

	ch <- c.info
	for i, name := range eventNames {
		counter(c.events, total[l.events+i], name)
	}
	for i, name := range dropNames {
		counter(c.drops, total[l.drops+i], name)
	}
	for i, name := range queueNames {
		gauge(c.queues, total[l.queues+i], name)
	}
	gauge(c.peers, total[l.peers])
	gauge(c.flows, total[l.flows])
	counter(c.opened, total[l.opened])
	counter(c.overdue, total[l.overdue])
	made, served := c.metrics.decided()
	for d, n := range made.decisions {
		counter(c.decisions, n, d.stage, c.reasons[d.reason])
	}
	for label, n := range made.labels {
		counter(c.verdicts, n, label)
	}
	c.collectBundles(served, gauge)
	counter(c.logErrors, total[l.logErrors])
	counter(c.repaired, total[l.repaired])
	for i, name := range eveNames {
		counter(c.eve, total[l.eve+i], name)
	}
	counter(c.eveOutput, total[l.eveWritten], "forwarded")
	counter(c.eveOutput, total[l.eveDropped], "dropped")
	counter(c.eveWaited, total[l.eveWaited])
	gauge(c.eveWaiting, total[l.eveWaiting])
	for i, name := range reloadNames {
		counter(c.reloads, total[l.reloads+i], name)
	}
	gauge(c.reloaded, 1-total[l.reloadFailed])
	gauge(c.reloadTime, total[l.reloadTime])
	gauge(c.load, c.metrics.loadLevel())
	for i, name := range loadNames {
		counter(c.loads, total[l.loads+i], name)
	}
	c.collectDrift(ch)
	histogram(c.serving, total[l.serving:][:buckets], total[l.servingNanos])
	histogram(c.compute, total[l.compute:][:buckets], total[l.computeNanos])
}

// collectBundles shows which bundles are served, the newest of which stands
// last. One that was replaced by another and then served again may be draining
// twice, and a metric may be given only once.
func (c *collector) collectBundles(served []Bundle, gauge func(*prometheus.Desc, uint64, ...string)) {
	type shown struct{ name, digest, state string }
	seen := map[shown]bool{}
	for i, b := range served {
		s := shown{b.Name, b.Digest, "draining"}
		if i == len(served)-1 {
			s.state = "serving"
		}
		if !seen[s] {
			seen[s] = true
			gauge(c.bundle, 1, s.name, s.digest, s.state)
		}
	}
}
