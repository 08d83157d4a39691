package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAlerts checks the rules for Prometheus: each has what it needs, and the
// metrics and label values that it asks for are some that the sidecar has. With
// promtool on PATH, that reads them, too.
func TestAlerts(t *testing.T) {
	rules := filepath.Join(root, "packaging", "alerts.yml")
	data, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var metrics []byte
	for _, of := range []string{"operate/telemetry", "output/kafka"} {
		page, err := os.ReadFile(filepath.Join(root, "sidecar", of, "testdata", "metrics.txt"))
		if err != nil {
			t.Fatal(err)
		}
		metrics = append(metrics, page...)
	}
	text := string(data)
	if strings.Contains(text, "\t") {
		t.Error("a tab, which YAML does not take for space")
	}
	head, _, _ := strings.Cut(text, "      - alert: ")
	if !strings.HasSuffix(head, "\ngroups:\n  - name: serveflow\n    rules:\n") {
		t.Errorf("begins with %q", head)
	}
	alerts := strings.Split(text, "      - alert: ")[1:]
	if len(alerts) < 5 {
		t.Fatalf("only %d alerts", len(alerts))
	}
	form := regexp.MustCompile(`^([A-Za-z]+)
        expr: ([^"'{#&*!|>%@].*)
(?:        for: [0-9]+[mhd]
)?        labels:
          severity: (?:critical|warning|info)
        annotations:
          summary: "[^"\\]+"
\s*$`)
	selector := regexp.MustCompile(`\b(serveflow_[a-z_]+)(?:\{(\w+)=~?"([^"]*)"\})?`)
	names := map[string]bool{}
	for _, alert := range alerts {
		parts := form.FindStringSubmatch(alert)
		if parts == nil {
			t.Errorf("not a rule as the others are:\n%s", alert)
			continue
		}
		name, expr := parts[1], parts[2]
		if names[name] {
			t.Errorf("%s stands there twice", name)
		}
		names[name] = true
		if strings.Contains(expr, ": ") || strings.Contains(expr, " #") {
			t.Errorf("%s: YAML would not read this as a string: %s", name, expr)
		}
		found := selector.FindAllStringSubmatch(expr, -1)
		if len(found) == 0 && !strings.Contains(expr, `up{job="serveflow"}`) {
			t.Errorf("%s asks for no metric: %s", name, expr)
		}
		for _, s := range found {
			if !strings.Contains(string(metrics), "# TYPE "+s[1]+" ") {
				t.Errorf("%s asks for %s, which the sidecar does not have", name, s[1])
			}
			if s[2] == "" {
				continue
			}
			for _, value := range strings.Split(s[3], "|") {
				if !regexp.MustCompile(`(?m)^` + s[1] + `\{.*` + s[2] + `="` + value + `"`).Match(metrics) {
					t.Errorf("%s asks for %s{%s=%q}, which the sidecar does not have", name, s[1], s[2], value)
				}
			}
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return
	}
	if out, err := exec.Command(promtool, "check", "rules", rules).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
