package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"serveflow/sidecar/operate/pages"
)

// Suppress is one entry of suppress: decisions with the label for which all else holds become
// unknown.
type Suppress struct {
	Label   string
	Network []netip.Prefix // either end is in one of these; empty: anywhere
	Port    []uint16       // of the responder; empty: any
	Below   float64        // scores that are lower; 0: any
}

var errTables = errors.New(`want a list of tables, such as [{label = "openvpn", port = [1194]}]`)

var suppressKeys = []string{"label", "network", "port", "below"}

// suppressions reads a list of tables, inline or each below [[suppress]].
func suppressions(to *[]Suppress) setter {
	return func(v any) error {
		var tables []map[string]any
		switch v := v.(type) {
		case []map[string]any:
			tables = v
		case []any:
			for _, e := range v {
				t, ok := e.(map[string]any)
				if !ok {
					return errTables
				}
				tables = append(tables, t)
			}
		default:
			return errTables
		}
		var all []Suppress
		var wrong []string
		for i, t := range tables {
			s, err := suppression(t)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("number %d: %v", i+1, err))
			}
			all = append(all, s)
		}
		if len(wrong) > 0 {
			return errors.New(strings.Join(wrong, "; "))
		}
		*to = all
		return nil
	}
}

func suppression(t map[string]any) (s Suppress, err error) {
	for _, key := range slices.Sorted(maps.Keys(t)) {
		if key == "agrees" {
			return s, errors.New("agrees: a label is given before the IDS knows its own view of the flow: use agrees where labels are read (" + pages.At("docs/labels.md") + ")")
		}
		if !slices.Contains(suppressKeys, key) {
			return s, fmt.Errorf("no key %q: use label, network, port, below", clip(key))
		}
	}
	ok := false
	if s.Label, ok = t["label"].(string); !ok || s.Label == "" || !printable(s.Label) {
		return s, errors.New("want a label")
	}
	if v, ok := t["network"]; ok {
		var names []string
		if err := texts(&names)(v); err != nil {
			return s, fmt.Errorf("network: %w", err)
		}
		for _, text := range names {
			n, err := netip.ParsePrefix(text)
			if err == nil && n != n.Masked() {
				return s, fmt.Errorf("network: %q has address bits past its prefix: the network is %q", clip(text), n.Masked())
			}
			if err != nil {
				return s, fmt.Errorf("network: %q: want an address and the length of its prefix, such as \"10.1.0.0/16\", or \"10.1.2.3/32\" for one host", clip(text))
			}
			s.Network = append(s.Network, n)
		}
	}
	if v, ok := t["port"]; ok {
		list, ok := v.([]any)
		if !ok {
			return s, errors.New("port: want a list of numbers, such as [1194]")
		}
		for _, e := range list {
			n, ok := e.(int64)
			if !ok || n < 0 || n > 65535 {
				return s, errors.New("port: want numbers from 0 to 65535")
			}
			s.Port = append(s.Port, uint16(n))
		}
	}
	if v, ok := t["below"]; ok {
		if s.Below, ok = v.(float64); !ok || !(s.Below > 0 && s.Below <= 1) {
			return s, errors.New("below: want a score, more than 0 and at most 1, such as 0.95")
		}
	}
	return s, nil
}
