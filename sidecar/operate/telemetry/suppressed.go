package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Suppressed is how often a rule of the configuration, by its place from 1 on, has kept a
// label from a flow.
type Suppressed struct {
	Rule  int
	Label string
	Count uint64
}

// ReadSuppressed shows what read returns.
func (m *Metrics) ReadSuppressed(read func() []Suppressed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suppressed = read
}

func (c *collector) collectSuppressed(ch chan<- prometheus.Metric) {
	c.metrics.mu.Lock()
	read := c.metrics.suppressed
	c.metrics.mu.Unlock()
	if read == nil {
		return
	}
	for _, s := range read() {
		ch <- prometheus.MustNewConstMetric(c.suppressed, counter, float64(s.Count), strconv.Itoa(s.Rule), s.Label)
	}
}
