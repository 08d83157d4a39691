package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns sums of counters into metrics.
type collector struct {
	metrics *Metrics
	stages  []string // by number, from 0: none
	labels  []string // by number, from 0: unknown
	reasons []string

	build, events, drops, queues, peers *prometheus.Desc
	flows, opened, decisions, verdicts  *prometheus.Desc
	logErrors, repaired                 *prometheus.Desc
	eve, eveOutput                      *prometheus.Desc
	eveWaited, eveWaiting               *prometheus.Desc
	serving, compute                    *prometheus.Desc
	info                                prometheus.Metric
}

func newCollector(m *Metrics, o Options) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("serveflow_"+name, help, labels, nil)
	}
	c := &collector{
		metrics: m,
		stages:  slices.Concat([]string{noStage}, o.Stages),
		labels:  slices.Concat([]string{unknown}, o.Labels),
		reasons: o.Reasons,

		build:      desc("build_info", "The version of the program and the bundle it serves; always 1.", "version", "bundle"),
		events:     desc("events_total", "Messages from taps.", "kind"),
		drops:      desc("drops_total", "What was not used, and why.", "reason"),
		queues:     desc("queue_depth", "What waits: event batches for shards, flows for a batched stage.", "queue"),
		peers:      desc("peers", "Connected taps."),
		flows:      desc("flows", "Flows tracked now."),
		opened:     desc("flows_total", "Flows seen."),
		decisions:  desc("decisions_total", "Decisions, by the stage that made them and what led to it.", "stage", "reason"),
		verdicts:   desc("labels_total", "Decisions, by their label.", "label"),
		logErrors:  desc("log_errors_total", "Failed writes, rotations and openings of the label log."),
		repaired:   desc("log_bytes_repaired_total", "Bytes of torn lines cut off the label log."),
		eve:        desc("eve_records_total", "Records of Suricata's EVE log, by what became of them.", "result"),
		eveOutput:  desc("eve_output_records_total", "Records of EVE that were written to their output, and those that it did not take.", "result"),
		eveWaited:  desc("eve_waited_total", "Flow records of EVE that waited for their label."),
		eveWaiting: desc("eve_waiting", "Flow records of EVE that wait for their label now."),

		serving: desc("serving_latency_seconds", "Time from a flow's first packet to its decision."),
		compute: desc("compute_latency_seconds", "Time from the arrival of what triggered a decision to the decision."),
	}
	c.info = prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, o.Version, o.Bundle)
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.build, c.events, c.drops, c.queues, c.peers, c.flows, c.opened,
		c.decisions, c.verdicts, c.logErrors, c.repaired, c.eve, c.eveOutput, c.eveWaited, c.eveWaiting, c.serving, c.compute,
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
	c.collectDecisions(total[l.decisions:][:l.decisionCells], counter)
	for i, name := range c.labels {
		counter(c.verdicts, total[l.verdicts+i], name)
	}
	counter(c.logErrors, total[l.logErrors])
	counter(c.repaired, total[l.repaired])
	for i, name := range eveNames {
		counter(c.eve, total[l.eve+i], name)
	}
	counter(c.eveOutput, total[l.eveWritten], "forwarded")
	counter(c.eveOutput, total[l.eveDropped], "dropped")
	counter(c.eveWaited, total[l.eveWaited])
	gauge(c.eveWaiting, total[l.eveWaiting])
	histogram(c.serving, total[l.serving:][:buckets], total[l.servingNanos])
	histogram(c.compute, total[l.compute:][:buckets], total[l.computeNanos])
}

// collectDecisions adds up stages of one name: two cascades may both have a
// stage "tree", and a metric may be given only once.
func (c *collector) collectDecisions(cells []uint64, counter func(*prometheus.Desc, uint64, ...string)) {
	for i, stage := range c.stages {
		if slices.Index(c.stages, stage) < i {
			continue
		}
		for k, reason := range c.reasons {
			n := uint64(0)
			for j := i; j < len(c.stages); j++ {
				if c.stages[j] == stage {
					n += cells[j*len(c.reasons)+k]
				}
			}
			counter(c.decisions, n, stage, reason)
		}
	}
}
