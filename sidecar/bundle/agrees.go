package bundle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"serveflow/sidecar/tap/wire"
)

// Agrees lists, for each label, the protocols that fit it: names that an IDS may
// give to a correctly labelled flow. Those of Zeek's service and of Suricata's
// app_proto are in one list. An IDS that detects another protocol disagrees with
// the label. A label without a list is never compared.
type Agrees map[string][]string

// serviceForm is the form of a protocol's name in logs of Zeek and Suricata.
var serviceForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_.+-]{0,31}$`)

func (a Agrees) check(labels []string, bad func(field, format string, args ...any)) {
	for _, label := range slices.Sorted(maps.Keys(a)) {
		field, names := fmt.Sprintf("agrees.%q", label), a[label]
		if !slices.Contains(labels, label) {
			bad(field, "no such label: use one of labels")
		}
		if len(names) == 0 {
			bad(field, "no name: list the names that go together with the label, or leave the label out")
		}
		for i, name := range names {
			switch {
			case !serviceForm.MatchString(name):
				bad(field, "%q: use a name as Zeek's service or Suricata's app_proto has it: lower case, at most 32 bytes", name)
			case slices.Contains(names[:i], name):
				bad(field, "%q is listed twice", name)
			}
		}
		if n := len(joined(names)); n > wire.MaxText {
			bad(field, "%d bytes of names: at most %d, commas included", n, wire.MaxText)
		}
	}
}

func joined(names []string) string { return strings.Join(names, ",") }

// Services returns, for each class, the protocols that fit its label, separated by
// commas as in messages and decisions; empty if the bundle lists none.
func (m *Manifest) Services() []string {
	lists := make([]string, len(m.Labels))
	for i, label := range m.Labels {
		lists[i] = joined(m.Agrees[label])
	}
	return lists
}
