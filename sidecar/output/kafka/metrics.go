package kafka

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serveflow/sidecar/output/spool"
)

// Why a record is dropped, beside the reasons of the queue.
const (
	dropTooLarge = iota // no broker takes it
	dropNoTopic         // of EVE, and there is no topic for that any more
	dropDamaged         // in the queue's files
	drops
)

// reasons are the names of the drops.
var (
	reasons      = [drops]string{"too_large", "no_topic", "damaged"}
	queueReasons = [spool.Drops]string{"memory_full", "queue_full", "disk", "damaged"}
)

var (
	sentDesc    = desc("sent_total", "Records that brokers have acknowledged.")
	retriesDesc = desc("retries_total", "Requests with records that failed and were made again.")
	repeatsDesc = desc("repeats_total", "Records that were given to a client again after an error; consumers may see them twice.")
	spilledDesc = desc("spilled_total", "Records that were read back from the files of the queue.")
	dropsDesc   = desc("drops_total", "Records that were not sent, and why.", "reason")
	lagDesc     = desc("lag_records", "Records that wait or are under way.")
	lagSeconds  = desc("lag_seconds", "For how long the oldest of these has waited.")
	queueDesc   = desc("queue_bytes", "Bytes of the queue's files.")
	upDesc      = desc("up", "Whether the brokers took the last records, or have not had to.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("serveflow_kafka_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *Stream) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

// Collect implements prometheus.Collector.
func (s *Stream) Collect(ch chan<- prometheus.Metric) {
	q := s.queue.Stats()
	send := func(kind prometheus.ValueType, d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	send(prometheus.CounterValue, sentDesc, float64(s.sent.Load()))
	send(prometheus.CounterValue, retriesDesc, float64(s.retries.Load()))
	send(prometheus.CounterValue, repeatsDesc, float64(s.repeats.Load()))
	send(prometheus.CounterValue, spilledDesc, float64(q.Spilled))
	dropped := map[string]uint64{}
	for i, name := range queueReasons {
		dropped[name] += q.Dropped[i]
	}
	for i, name := range reasons {
		dropped[name] += s.drops[i].Load()
	}
	for name, n := range dropped {
		send(prometheus.CounterValue, dropsDesc, float64(n), name)
	}
	send(prometheus.GaugeValue, lagDesc, float64(q.Waiting))
	lag := 0.0
	if !q.Oldest.IsZero() {
		lag = max(0, time.Since(q.Oldest).Seconds())
	}
	send(prometheus.GaugeValue, lagSeconds, lag)
	send(prometheus.GaugeValue, queueDesc, float64(q.OnDisk))
	up := 0.0
	if s.up.Load() || q.Waiting == 0 {
		up = 1
	}
	send(prometheus.GaugeValue, upDesc, up)
}
