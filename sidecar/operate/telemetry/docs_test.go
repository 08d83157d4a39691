package telemetry

import (
	"os"
	"strings"
	"testing"
)

// docs/metrics.md names every metric and every value of the fixed lists.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	families, err := busy().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "serveflow_") &&
			!strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+name+"{") {
			t.Errorf("docs/metrics.md does not name %s", name)
		}
	}
	for c := range cells {
		if name := c.String(); !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`serveflow_"+name+"`") {
			t.Errorf("docs/metrics.md does not name %s", name)
		}
	}
}
