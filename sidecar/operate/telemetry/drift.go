package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Drift is how far the last flows of a cascade are from those that it was
// calibrated on.
type Drift struct {
	Cascade string // "packet" or "meta"
	Flows   int    // that it is measured on
	PSI     []PSI
}

// PSI is a population stability index.
type PSI struct {
	Of    string // what is compared
	Value float64
}

// ReadDrift shows what read returns of the bundle that new flows go to.
func (m *Metrics) ReadDrift(read func() []Drift) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drift = read
}

func (c *collector) collectDrift(ch chan<- prometheus.Metric) {
	c.metrics.mu.Lock()
	read := c.metrics.drift
	c.metrics.mu.Unlock()
	if read == nil {
		return
	}
	for _, d := range read() {
		ch <- prometheus.MustNewConstMetric(c.driftFlows, prometheus.GaugeValue, float64(d.Flows), d.Cascade)
		for _, i := range d.PSI {
			ch <- prometheus.MustNewConstMetric(c.driftPSI, prometheus.GaugeValue, i.Value, d.Cascade, i.Of)
		}
	}
}
