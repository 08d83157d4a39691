package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"serveflow/sidecar/decide/cascade"
)

// TestReasons wants every reason of a decision in each list of them.
func TestReasons(t *testing.T) {
	for _, list := range []struct{ file, from, to string }{
		{"docs/labels.md", "## The reason", "The label is"},
		{"docs/protocol-from-sidecar.md", "Reasons: ", "\n\n"},
		{"zeek-scripts/scripts/types.zeek", "What triggered the decision:", "reason: string"},
		{"suricata-lua/eve-schema.json", `"what triggered the decision"`, "]"},
		{"packaging/integrations/schema/eve.schema.json", `"what triggered the decision"`, "]"},
		{"packaging/integrations/schema/labels.schema.json", `"what triggered the decision"`, "]"},
	} {
		data, err := os.ReadFile(filepath.Join(root, list.file))
		if err != nil {
			t.Fatal(err)
		}
		_, text, from := strings.Cut(string(data), list.from)
		text, _, to := strings.Cut(text, list.to)
		if !from || !to {
			t.Errorf("%s: no list of reasons from %q to %q", list.file, list.from, list.to)
			continue
		}
		for _, reason := range cascade.ReasonNames() {
			if !regexp.MustCompile(`\b` + reason + `\b`).MatchString(text) {
				t.Errorf("%s does not list the reason %q", list.file, reason)
			}
		}
	}
}
