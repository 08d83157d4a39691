package bundle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Attack lists, for some labels, the techniques of MITRE ATT&CK that a flow with the label
// may be part of: T1090, or T1090.003 with a sub-technique. Their form alone is checked:
// the list of those that there are grows.
type Attack map[string][]string

var techniqueForm = regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)

// maxTechniques is how many a label may have.
const maxTechniques = 16

func (a Attack) check(labels []string, bad func(field, format string, args ...any)) {
	for _, label := range slices.Sorted(maps.Keys(a)) {
		field, ids := fmt.Sprintf("attack.%q", label), a[label]
		if !slices.Contains(labels, label) {
			bad(field, "no such label: use one of labels")
		}
		if len(ids) == 0 || len(ids) > maxTechniques {
			bad(field, "%d techniques: give 1 to %d, or leave the label out", len(ids), maxTechniques)
		}
		for i, id := range ids {
			switch {
			case !techniqueForm.MatchString(id):
				bad(field, "%q: write a technique as T1090 or T1090.003", clip(id))
			case slices.Contains(ids[:i], id):
				bad(field, "%q is listed twice", id)
			}
		}
	}
}

// Words lists labels with their techniques, for people.
func (a Attack) Words() []string {
	var all []string
	for _, label := range slices.Sorted(maps.Keys(a)) {
		all = append(all, label+" "+strings.Join(a[label], ", "))
	}
	return all
}
