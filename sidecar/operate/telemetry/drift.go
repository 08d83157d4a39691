package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Drift is how far the most recent flows of a cascade are from its calibration.
type Drift struct {
	Cascade string // "packet" or "meta"
	Flows   int    // the number of these flows
	PSI     []PSI
}

// PSI is a population stability index.
type PSI struct {
	Of    string // what is compared
	Value float64
}

// ReadDrift sets the function that returns the drift of the newest bundle.
func (m *Metrics) ReadDrift(read func() []Drift) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drift = read
}

// Drift is the current drift.
func (m *Metrics) Drift() []Drift {
	m.mu.Lock()
	read := m.drift
	m.mu.Unlock()
	if read == nil {
		return nil
	}
	return read()
}

// Warn makes /healthz show these warnings about something from now on, one a line. A
// sidecar with warnings is healthy.
func (m *Metrics) Warn(about string, warnings []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warnings[about] = warnings
}

func (c *collector) collectDrift(ch chan<- prometheus.Metric) {
	for _, d := range c.metrics.Drift() {
		ch <- prometheus.MustNewConstMetric(c.driftFlows, gauge, float64(d.Flows), d.Cascade)
		for _, i := range d.PSI {
			ch <- prometheus.MustNewConstMetric(c.driftPSI, gauge, i.Value, d.Cascade, i.Of)
		}
	}
}
