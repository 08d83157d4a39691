package remote

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/test/bench"
)

// TestBench measures the channel bundle with its large model in the sidecar and in
// MLServer, at the same rates, and prints a row for each. Every flow is decided by all
// stages in turn (cascade) or by the large model alone (slow).
func TestBench(t *testing.T) {
	needServer(t)
	channel := root + "/models/channel"
	dir, model := remoteBundle(t, channel, "large12.txt")
	server := newServer(t, model, "1").start()
	server.await()
	captures, err := filepath.Glob(root + "/test/captures/lab/pcap/*.pcap.zst")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	rows := []string{"| large model | mode | flows a second | flows per CPU second of the sidecar | round trip p50, p99 ms | rows a request | requests | decided for |", "|---|---|---|---|---|---|---|---|"}
	for _, rate := range []string{"200"} {
		for i, b := range []string{channel, dir} {
			where := [2]string{"sidecar", "MLServer"}[i]
			args := []string{"bench", "--bundle", b, "--mode", "cascade,slow", "--rate", rate, "--duration", "5s", "--repeat", "3", "--json"}
			if i == 1 {
				args = append(args, "--inference", server.address())
			}
			cmd := exec.Command(serveflow, append(args, captures...)...)
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			var report bench.Report
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatal(err)
			}
			for _, m := range report.Modes {
				last := report.Passes[0]
				for _, p := range report.Passes {
					if p.Mode == m.Mode {
						last = p
					}
					if p.Missing != 0 || p.Twice != 0 {
						t.Errorf("%s, %s: labels missing %d, twice %d", where, p.Mode, p.Missing, p.Twice)
					}
				}
				var reasons, requests []string
				for _, r := range m.Reasons {
					reasons = append(reasons, fmt.Sprintf("%s %.1f %%", r.Name, 100*r.Share))
				}
				batch := "-"
				if i == 1 {
					batch = fmt.Sprintf("%.1f", last.RowsPerRequest)
				}
				for _, r := range last.Requests {
					requests = append(requests, fmt.Sprintf("%s %d", r.Name, r.N))
				}
				if (len(requests) > 0) != (i == 1) {
					t.Errorf("%s: requests %v", where, requests)
				}
				rows = append(rows, fmt.Sprintf("| %s | %s | %s | %.0f (%.0f, %.0f) | %.1f, %.1f | %s | %s | %s |", where, m.Mode, rate,
					m.FlowsPerCPU.Median, m.FlowsPerCPU.Min, m.FlowsPerCPU.Max, m.Open.RoundTrip.P50, m.Open.RoundTrip.P99,
					batch, strings.Join(requests, ", "), strings.Join(reasons, ", ")))
			}
		}
	}
	fmt.Println(strings.Join(rows, "\n"))
}
