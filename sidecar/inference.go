package sidecar

import (
	"github.com/prometheus/client_golang/prometheus"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/remote"
)

// inference collects metrics of the inference servers that a bundle's remote stages ask.
// They begin again with another bundle.
type inference struct{ serving func() *bundle.Bundle }

var (
	inferenceRequests = prometheus.NewDesc("serveflow_inference_requests_total", "Requests to inference servers, by how they ended.", []string{"model", "result"}, nil)
	inferenceRows     = prometheus.NewDesc("serveflow_inference_rows_total", "Rows that inference servers have answered.", []string{"model"}, nil)
	inferenceServers  = prometheus.NewDesc("serveflow_inference_servers", "Inference servers, by whether they are in use.", []string{"model", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (i inference) Describe(ch chan<- *prometheus.Desc) {
	ch <- inferenceRequests
	ch <- inferenceRows
	ch <- inferenceServers
}

// Collect implements prometheus.Collector.
func (i inference) Collect(ch chan<- prometheus.Metric) {
	for _, m := range i.serving().Remotes() {
		requests, rows := m.Stats()
		for r, n := range requests {
			ch <- prometheus.MustNewConstMetric(inferenceRequests, prometheus.CounterValue, float64(n), m.Model, remote.ResultNames[r])
		}
		ch <- prometheus.MustNewConstMetric(inferenceRows, prometheus.CounterValue, float64(rows), m.Model)
		ready := m.Ready()
		ch <- prometheus.MustNewConstMetric(inferenceServers, prometheus.GaugeValue, float64(ready), m.Model, "ready")
		ch <- prometheus.MustNewConstMetric(inferenceServers, prometheus.GaugeValue, float64(m.Servers()-ready), m.Model, "out")
	}
}
