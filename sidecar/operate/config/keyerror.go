package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// KeyError is one mistake in a configuration.
type KeyError struct {
	Key     string // for example "listen.mode"
	Line    int    // line of the key; 0: not from a file
	Value   string // the value as TOML; empty for an unknown key
	Want    string // what is allowed, or what the key should be
	Unknown bool   // there is no such key
}

// Error says it in one line.
func (e *KeyError) Error() string {
	var b strings.Builder
	if e.Unknown {
		b.WriteString("unknown key ")
	}
	b.WriteString(e.Key)
	if e.Value != "" {
		b.WriteString(" = " + e.Value)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	b.WriteString(": " + e.Want)
	return b.String()
}

// clip cuts what is shown to a length that a person reads.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// show writes a decoded value as it would stand in the file.
func show(v any) string {
	var s string
	switch v := v.(type) {
	case string:
		s = fmt.Sprintf("%q", v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = show(v[i])
		}
		s = "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, toml.Key{key}.String()+" = "+show(v[key]))
		}
		s = "{" + strings.Join(parts, ", ") + "}"
	case []map[string]any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = show(v[i])
		}
		s = "[" + strings.Join(parts, ", ") + "]"
	default:
		s = fmt.Sprint(v)
	}
	return clip(s)
}
