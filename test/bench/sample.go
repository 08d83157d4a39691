package bench

import (
	"fmt"
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"

	"serveflow/sidecar/operate/telemetry"
)

// Sample is what a sidecar's process had used and done when it was asked.
type Sample struct {
	Time      time.Time     `json:"time"`
	CPU       time.Duration `json:"cpu_ns"` // user and system time, of getrusage
	RSS       int64         `json:"rss_bytes"`
	Events    uint64        `json:"events"` // PACKET and END
	Tracked   int           `json:"tracked_flows"`
	Stages    []string      `json:"stages"` // of the cascade, in their order
	Decisions []Decisions   `json:"decisions"`
	Drops     []Count       `json:"drops"`
	Compute   []Bucket      `json:"compute_latency"`
	Requests  []Count       `json:"requests"`   // to inference servers, by how they ended
	Rows      uint64        `json:"rows"`       // that these have answered
	Queue     []Bucket      `json:"queue_wait"` // see serveflow_wait_seconds
	Shard     []Bucket      `json:"shard_wait"`
	Model     []Bucket      `json:"model_wait"`
	Allocs    uint64        `json:"allocs"`   // objects
	GCCPU     float64       `json:"gc_cpu_s"` // as the runtime estimates it
}

// Decisions is how many flows a stage decided for a reason; the stage "none"
// asked no model.
type Decisions struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Flows  uint64 `json:"flows"`
}

// Count is how many of something there were.
type Count struct {
	Name string `json:"name"`
	N    uint64 `json:"n"`
}

// Bucket is how many decisions took at most so many seconds.
type Bucket struct {
	Seconds float64 `json:"seconds"`
	N       uint64  `json:"n"`
}

// noStage is what telemetry calls the stage of a flow that no model was asked
// about.
const noStage = "none"

// Flows is the number of flows that a model was asked about.
func (s *Sample) Flows() (n uint64) {
	for _, d := range s.Decisions {
		if d.Stage != noStage {
			n += d.Flows
		}
	}
	return n
}

// sample asks this process, which runs a cascade of those stages.
func sample(m *telemetry.Metrics, stages []string) (*Sample, error) {
	s := &Sample{Stages: stages}
	families, err := m.Gather()
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		for _, one := range f.Metric {
			label := map[string]string{}
			for _, l := range one.Label {
				label[l.GetName()] = l.GetValue()
			}
			switch n := uint64(one.GetCounter().GetValue()); f.GetName() {
			case "serveflow_events_total":
				if kind := label["kind"]; kind == "packet" || kind == "end" {
					s.Events += n
				}
			case "serveflow_flows":
				s.Tracked = int(one.GetGauge().GetValue())
			case "serveflow_decisions_total":
				s.Decisions = append(s.Decisions, Decisions{label["stage"], label["reason"], n})
			case "serveflow_drops_total":
				s.Drops = append(s.Drops, Count{label["reason"], n})
			case "serveflow_inference_requests_total":
				s.Requests = append(s.Requests, Count{label["result"], n})
			case "serveflow_inference_rows_total":
				s.Rows += n
			case "serveflow_compute_latency_seconds":
				s.Compute = bucketsOf(one.Histogram)
			case "serveflow_wait_seconds":
				*map[string]*[]Bucket{"queue": &s.Queue, "shard": &s.Shard, "model": &s.Model}[label["where"]] = bucketsOf(one.Histogram)
			}
		}
	}
	if s.RSS, err = residentBytes(); err != nil {
		return nil, err
	}
	readings := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(readings)
	s.Allocs, s.GCCPU = readings[0].Value.Uint64(), readings[1].Value.Float64()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return nil, fmt.Errorf("getrusage: %w", err)
	}
	s.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	s.Time = time.Now()
	return s, nil
}

func bucketsOf(h *dto.Histogram) (all []Bucket) {
	for _, b := range h.Bucket {
		if !math.IsInf(b.GetUpperBound(), 1) {
			all = append(all, Bucket{b.GetUpperBound(), b.GetCumulativeCount()})
		}
	}
	return all
}

// residentBytes is the memory that the process occupies, see proc(5).
func residentBytes() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm: %q", text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
