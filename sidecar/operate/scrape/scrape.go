// Package scrape reads what a running sidecar answers over HTTP: its health, its status
// and its metrics.
package scrape

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"serveflow/sidecar/operate/telemetry"
)

// The limits of an answer: whatever listens on the port may not be a sidecar.
const (
	timeout   = 10 * time.Second
	maxAnswer = 4 << 20 // an answer's series take fifty times that in memory
)

// Client asks one sidecar.
type Client struct {
	address string
	http    http.Client
}

// New returns a client of the sidecar whose telemetry.listen is address, host:port.
func New(address string) *Client {
	return &Client{address: address, http: http.Client{Timeout: timeout}}
}

// get returns the status code and the body.
func (c *Client) get(ctx context.Context, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("%s%s answers with more than %d MiB", c.address, path, maxAnswer>>20)
	}
	return answer.StatusCode, string(body), err
}

func (c *Client) ok(ctx context.Context, path string) (string, error) {
	code, body, err := c.get(ctx, path)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s%s answers %d: is it an older sidecar, or another program?", c.address, path, code)
	}
	return body, err
}

// Health returns whether the sidecar is well, and the lines that it says of it.
func (c *Client) Health(ctx context.Context) (well bool, lines []string, err error) {
	code, body, err := c.get(ctx, "/healthz")
	for line := range strings.Lines(body) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return code == http.StatusOK, lines, err
}

// Status returns what the sidecar knows of who is connected.
func (c *Client) Status(ctx context.Context) (s telemetry.Status, err error) {
	body, err := c.ok(ctx, "/status")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return s, fmt.Errorf("%s/status: %w", c.address, err)
	}
	return s, nil
}

// Metrics returns the metrics as they are now.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	body, err := c.ok(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s/metrics: %w", c.address, err)
	}
	return families, nil
}

// Metrics are the families of one scrape by name.
type Metrics map[string]*dto.MetricFamily

// Each calls do with every series of a metric: its labels, and its value, which of a
// histogram is the count.
func (m Metrics) Each(name string, do func(labels map[string]string, value float64)) {
	for _, series := range m[name].GetMetric() {
		labels := make(map[string]string, len(series.GetLabel()))
		for _, l := range series.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		switch {
		case series.Counter != nil:
			do(labels, series.Counter.GetValue())
		case series.Gauge != nil:
			do(labels, series.Gauge.GetValue())
		case series.Histogram != nil:
			do(labels, float64(series.Histogram.GetSampleCount()))
		case series.Untyped != nil:
			do(labels, series.Untyped.GetValue())
		}
	}
}

// By sums a metric by the values of one of its labels.
func (m Metrics) By(name, label string) map[string]float64 {
	sums := map[string]float64{}
	m.Each(name, func(labels map[string]string, value float64) { sums[labels[label]] += value })
	return sums
}

// Sum sums all series of a metric.
func (m Metrics) Sum(name string) (sum float64) {
	m.Each(name, func(_ map[string]string, value float64) { sum += value })
	return sum
}

// Buckets returns the upper bounds of a histogram without labels and how many samples
// are at or below each.
func (m Metrics) Buckets(name string) (bounds, counts []float64) {
	for _, series := range m[name].GetMetric() {
		for _, b := range series.GetHistogram().GetBucket() {
			bounds, counts = append(bounds, b.GetUpperBound()), append(counts, float64(b.GetCumulativeCount()))
		}
	}
	return bounds, counts
}
