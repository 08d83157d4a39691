package main

import (
	"reflect"
	"testing"
)

const planned = 150

// What is kept for the test sessions is in no other, and every split has enough.
func TestPlanKeepsSplitsApart(t *testing.T) {
	only := map[string]string{}
	for _, w := range paths {
		only[w.name] = w.only
	}
	for i := range catalogue {
		l := &catalogue[i]
		count, programs := map[string]int{}, map[string]map[string]bool{"train": {}, calibration: {}, test: {}}
		for _, s := range plan(l, 1, planned*l.each()) {
			count[s.Split]++
			programs[s.Split][s.Program] = true
			if p := find(l.name, s.Program); p == nil || p.only != "" && p.only != s.Split {
				t.Errorf("%s: %s is in a session of split %s", l.name, s.Program, s.Split)
			}
			if o := only[s.Path.Name]; o != "" && o != s.Split || s.Split == test && o != test {
				t.Errorf("%s: wire %s in a session of split %s", l.name, s.Path.Name, s.Split)
			}
		}
		if n := l.each(); count["train"] != 90*n || count[calibration] != 30*n || count[test] != 30*n {
			t.Errorf("%s: sessions %v", l.name, count)
		}
		for _, p := range l.programs {
			for split, has := range programs {
				if (p.only == "" || p.only == split) && !has[p.name] {
					t.Errorf("%s: no session of split %s has %s", l.name, split, p.name)
				}
			}
		}
	}
}

// Neither ports nor wires tell the label: each is used by most labels.
func TestPlanSharesPortsAndWires(t *testing.T) {
	byPort, byWire := map[int]map[string]bool{}, map[string]map[string]bool{}
	for i := range catalogue {
		for _, s := range plan(&catalogue[i], 1, planned) {
			if byPort[s.Port] == nil {
				byPort[s.Port] = map[string]bool{}
			}
			if byWire[s.Path.Name] == nil {
				byWire[s.Path.Name] = map[string]bool{}
			}
			byPort[s.Port][s.Label], byWire[s.Path.Name][s.Label] = true, true
		}
	}
	for _, port := range ports {
		if n := len(byPort[port]); n < len(catalogue)*3/4 {
			t.Errorf("port %d: %d of %d labels", port, n, len(catalogue))
		}
	}
	for _, w := range paths {
		if n := len(byWire[w.name]); n != len(catalogue) {
			t.Errorf("wire %s: %d of %d labels", w.name, n, len(catalogue))
		}
	}
}

// A seed plans the same again, and a larger plan begins with the smaller.
func TestPlanIsDrawnFromTheSeed(t *testing.T) {
	l := &catalogue[0]
	if !reflect.DeepEqual(plan(l, 7, 40)[:20], plan(l, 7, 20)) {
		t.Error("40 sessions do not begin with the 20")
	}
	if reflect.DeepEqual(plan(l, 7, 20), plan(l, 8, 20)) {
		t.Error("another seed makes no difference")
	}
	names := map[string]bool{}
	for i := range catalogue {
		for _, s := range plan(&catalogue[i], 1, planned) {
			if names[s.File] {
				t.Errorf("%s twice", s.File)
			}
			names[s.File] = true
		}
	}
}

// A gateway is in front of clients in about one session of four, recorded where it is
// seen, and of no label whose servers reach clients.
func TestPlanHidesClients(t *testing.T) {
	for i := range catalogue {
		l := &catalogue[i]
		hidden := 0
		for _, s := range plan(l, 1, planned) {
			if s.Gateway == "" {
				continue
			}
			hidden++
			if !s.AtServe || string(s.Gateway) == s.Client.Address || string(s.Gateway) == s.Server.Address {
				t.Errorf("%s: gateway %s, client %s, server %s, at the server's end: %v", s.File, s.Gateway, s.Client.Address, s.Server.Address, s.AtServe)
			}
		}
		if l.reached && hidden > 0 || !l.reached && (hidden < planned/8 || hidden > planned/2) {
			t.Errorf("%s: %d of %d sessions have a gateway", l.name, hidden, planned)
		}
	}
}
