package sidecar

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/telemetry"
)

// TestDriftIsTold: once in the log, on /healthz as long as it lasts, and another
// bundle starts over.
func TestDriftIsTold(t *testing.T) {
	var log bytes.Buffer
	s := &Sidecar{options: Options{Log: zerolog.New(&log)}, Metrics: telemetry.New(telemetry.Options{})}
	health := func() string {
		w := httptest.NewRecorder()
		s.Metrics.Handler(func() error { return nil }).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		if w.Code != 200 {
			t.Errorf("drift makes the sidecar unhealthy: %d", w.Code)
		}
		return w.Body.String()
	}
	a := &driftMonitor{sidecar: s}
	one := &bundle.Bundle{Manifest: &bundle.Manifest{Name: "one", Version: "1.0.0"}}
	start := time.Now()
	look := func(hours float64, b *bundle.Bundle, score float64) {
		a.check(start.Add(time.Duration(hours*float64(time.Hour))), b, []telemetry.Drift{{Cascade: "packet", Flows: 9000, PSI: []telemetry.PSI{{Of: "score", Value: score}}}})
	}
	look(0, one, 1.2)
	if got := health(); got != "ok\n" {
		t.Errorf("at once: %q", got)
	}
	look(1, one, 1.2)
	look(2, one, 1.3)
	if got := health(); !strings.HasPrefix(got, "ok\nwarning: drift: ") || !strings.Contains(got, "one@1.0.0") || !strings.Contains(got, "score 1.30") || !strings.Contains(got, "train one") {
		t.Errorf("after two hours: %q", got)
	}
	if n := strings.Count(log.String(), "drift:"); n != 1 {
		t.Errorf("the log tells of it %d times:\n%s", n, &log)
	}
	look(3, &bundle.Bundle{Manifest: &bundle.Manifest{Name: "two", Version: "1.0.0"}}, 1.3)
	if got := health(); got != "ok\n" {
		t.Errorf("with another bundle: %q", got)
	}
}
