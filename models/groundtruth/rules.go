package groundtruth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rules turn names of servers and services into labels.
type rules struct {
	names    map[string]string // a name, or an ending that begins with a dot
	services []serviceRule
}

// serviceRule is about flows that have all of some services.
type serviceRule struct {
	services []string // sorted
	label    string
}

// newRules checks and sorts what the file says.
func newRules(names, services map[string]any) (rules, error) {
	r := rules{names: map[string]string{}}
	for _, key := range sorted(names) {
		label, err := labelOf(names[key])
		if err == nil {
			err = checkName(key)
		}
		if err != nil {
			return r, fmt.Errorf("names: %q: %w", key, err)
		}
		name := canonical(key)
		if before, ok := r.names[name]; ok && before != label {
			return r, fmt.Errorf("names: %q: is there twice, with the labels %s and %s", key, before, label)
		}
		r.names[name] = label
	}
	for _, key := range sorted(services) {
		label, err := labelOf(services[key])
		if err != nil {
			return r, fmt.Errorf("services: %q: %w", key, err)
		}
		rule := serviceRule{split(key), label}
		if len(rule.services) == 0 {
			return r, fmt.Errorf("services: %q: names none", key)
		}
		r.services = append(r.services, rule)
	}
	// Those that name more come first.
	slices.SortStableFunc(r.services, func(a, b serviceRule) int { return len(b.services) - len(a.services) })
	return r, nil
}

func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func labelOf(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, checkLabel(v)
	case map[string]any:
		return "", errors.New("the name is in parts: put all of it in quotes")
	}
	return "", errors.New("a label is a text in quotes")
}

// checkLabel refuses what no bundle can have as a label.
func checkLabel(label string) error {
	switch {
	case label == "" || len(label) > 64 || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("label %q: a label has 1 to 64 bytes and no control characters", label)
	case label == "unknown":
		return errors.New(`label "unknown": is what a flow is called that no model is sure of: choose another`)
	}
	return nil
}

func checkName(name string) error {
	switch {
	case strings.Contains(name, "*"):
		return errors.New("write .example.com for example.com and all below it, not *.example.com")
	case name == "" || strings.ContainsAny(name, " \t/:"):
		return errors.New("is no name of a server")
	}
	return nil
}

// canonical is how names are compared.
func canonical(name string) string {
	name = strings.ToLower(name)
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// name returns the label of a server's name, "" if no rule has it.
func (r *rules) name(name string) string {
	name = canonical(name)
	if label, ok := r.names[name]; ok {
		return label
	}
	for end := "." + name; ; {
		if label, ok := r.names[end]; ok {
			return label
		}
		dot := strings.IndexByte(end[1:], '.')
		if dot < 0 {
			return r.names["."]
		}
		end = end[1+dot:]
	}
}

// service returns the labels of what conn.log says of the service: several, if
// rules that name as many services contradict each other.
func (r *rules) service(service string) []string {
	have := split(service)
	var labels []string
	most := 0
	for _, rule := range r.services {
		if len(rule.services) < most {
			break
		}
		if !slices.ContainsFunc(rule.services, func(s string) bool { return !slices.Contains(have, s) }) {
			most = len(rule.services)
			labels = append(labels, rule.label)
		}
	}
	return labels
}

// split parts services. What begins with a minus sign is one that Zeek took back.
func split(services string) []string {
	parts := strings.Split(strings.ToLower(strings.ReplaceAll(services, " ", "")), ",")
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" || s[0] == '-' })
	slices.Sort(parts)
	return slices.Compact(parts)
}
