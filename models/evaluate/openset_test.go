package evaluate

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/output/decision"
)

var open = &bundle.Manifest{
	Name: "x", Version: "2.0.0", Background: "other",
	Labels: []string{"web", "dns", "dns-tunnel", "ssh-forward", "remote-desktop", "shadowsocks", "other"},
	Alarms: []string{"dns-tunnel", "shadowsocks"},
}

// TestVerdict has every way in which a label can relate to a kind.
func TestVerdict(t *testing.T) {
	j := newJudge(open)
	for _, c := range []struct {
		kind  kind
		label string
		want  string
	}{
		{kind{"web", ""}, "web", "known right ordinary"},
		{kind{"web", ""}, "unknown", "known none ordinary"},
		{kind{"web", ""}, "other", "known none ordinary"},
		{kind{"web", ""}, "dns", "known ordinary"},
		{kind{"web", ""}, "shadowsocks", "known alarm ordinary"},
		{kind{"rdp", ""}, "remote-desktop", "known right ordinary"},
		{kind{"ssh", ""}, "ssh-forward", "known right ordinary"}, // the manifest names it no alarm
		{kind{"dns-tunnel", "iodine"}, "dns-tunnel", "known right alarm"},
		{kind{"proxy", "shadowsocks"}, "shadowsocks", "known right alarm"},
		{kind{"proxy", "socks"}, "shadowsocks", "alarm"}, // no label is right for it
		{kind{"proxy", "socks"}, "unknown", "right none"},
		{kind{"quic", ""}, "web", "near ordinary"},
		{kind{"quic", ""}, "dns", "ordinary"},
		{kind{"other", "TLS-other"}, "web", "near ordinary"},
		{kind{"other", "FTP"}, "web", "ordinary"},
		{kind{"other", "vpn:tinc"}, "other", "right none"},
		{kind{"silent", ""}, "other", "right none ordinary"},
	} {
		v := j.of(c.kind, c.label)
		var got []string
		for _, f := range []struct {
			name string
			is   bool
		}{{"known", v.known}, {"right", v.right}, {"near", v.near}, {"none", v.none}, {"alarm", v.alarm}, {"ordinary", v.ordinary}} {
			if f.is {
				got = append(got, f.name)
			}
		}
		want := strings.Fields(c.want)
		if len(got) != len(want) || !reflect.DeepEqual(toSet(got), toSet(want)) {
			t.Errorf("%v called %s: %v, want %v", c.kind, c.label, got, want)
		}
		if wrong := !v.right && !v.near && !v.none; v.wrong() != wrong {
			t.Errorf("%v called %s: wrong is %v", c.kind, c.label, v.wrong())
		}
	}
	// Kinds without a label of their own name may be merged into another.
	for _, c := range []struct {
		labels []string
		right  bool
	}{{[]string{"ssh", "web"}, true}, {[]string{"ssh", "ssh-bulk"}, false}} {
		if v := newJudge(&bundle.Manifest{Labels: c.labels}).of(kind{"ssh-bulk", ""}, "ssh"); v.right != c.right || !v.known {
			t.Errorf("ssh-bulk called ssh by a bundle with %q: %+v", c.labels, v)
		}
	}
	// Without a word of the manifest, other is a label as any other, and the alarms
	// are those of kinds.toml.
	old := newJudge(&bundle.Manifest{Labels: []string{"ssh-forward", "other"}})
	if v := old.of(kind{"other", ""}, "other"); !v.known || !v.right || v.none {
		t.Errorf("other as a label: %+v", v)
	}
	if v := old.of(kind{"web", ""}, "ssh-forward"); !v.alarm || v.known {
		t.Errorf("an alarm by kinds.toml: %+v", v)
	}
}

func toSet(words []string) map[string]bool {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	return set
}

// openFlows are three captures: of two flows, of four, which is a real mixture, and
// of one.
func openFlows() []flowResult {
	flow := func(session int, truth, detail, label, reason string) flowResult {
		return flowResult{
			truth: truth, detail: detail, session: session, natural: session == 1,
			group: []string{"one", "two", "two"}[session], Record: decision.Record{Label: label, Reason: reason, Stage: "slow", Packets: 1},
		}
	}
	return []flowResult{
		flow(0, "web", "", "web", "accepted"),
		flow(0, "quic", "", "web", "accepted"),
		flow(1, "web", "", "dns-tunnel", "accepted"),
		flow(1, "dns-tunnel", "iodine", "dns-tunnel", "last_stage"),
		flow(1, "snmp", "", "unknown", "last_stage"),
		flow(1, "other", "FTP", "shadowsocks", "last_stage"),
		flow(2, "web", "", "other", "accepted"),
	}
}

// TestOpenSet has figures computed by hand.
func TestOpenSet(t *testing.T) {
	o := Options{Bundle: &bundle.Bundle{Manifest: open, Packet: &cascade.Cascade{Stages: []cascade.Stage{{Name: "slow", Packets: 1}}}}}
	r := o.report(openFlows(), openFlows())
	all := r.OpenSet.All
	for _, c := range []struct {
		name      string
		got, want Share
	}{
		// Known: a web of capture 0 (1/2 of its vote), web and dns-tunnel of 1 (1/4
		// each), web of 2 (1).
		{"known, right", all.KnownRight, Share{4, 2. / 4, (.5 + .25) / 2}},
		{"known, none", all.KnownNone, Share{4, 1. / 4, 1. / 2}},
		{"known, wrong", all.KnownWrong, Share{4, 1. / 4, .25 / 2}},
		{"background", all.Background, Share{3, 1. / 3, .25 / 1}},
		{"precision", all.Precision, Share{5, 2. / 5, .75 / 1.75}},
		{"precision with near", all.WithNear, Share{5, 3. / 5, 1.25 / 1.75}},
		{"accepted", all.Accepted, Share{7, 3. / 7, 1.25 / 3}},
		{"accepted wrong", all.AcceptWrong, Share{3, 1. / 3, .25 / 1.25}},
		{"accepted wrong, known", all.AcceptWrongK, Share{2, 1. / 2, .25 / .75}},
		{"precision of real mixtures", r.OpenSet.Natural.Precision, Share{3, 1. / 3, 1. / 3}},
	} {
		if math.Abs(c.got.ByFlow-c.want.ByFlow) > 1e-12 || math.Abs(c.got.ByCapture-c.want.ByCapture) > 1e-12 || c.got.Flows != c.want.Flows {
			t.Errorf("%s: %+v, want %+v", c.name, c.got, c.want)
		}
	}
	a := all.Alarms
	a.Labels = nil
	per, votes := 1e4*2/6, 1e4*.5/2.75
	if math.Abs(a.Per10000-per) > 1e-9 || math.Abs(a.Per10000ByCapture-votes) > 1e-9 {
		t.Errorf("%v and %v of 10,000, want %v and %v", a.Per10000, a.Per10000ByCapture, per, votes)
	}
	a.Per10000, a.Per10000ByCapture = 0, 0
	if want := (Alarms{Ordinary: 6, False: 2, Captures: 3, CapturesFalse: 1, Given: 3, Right: 1, Meant: 1, MeantRight: 1, MeantAlarm: 1}); !reflect.DeepEqual(a, want) {
		t.Errorf("alarms %+v, want %+v", a, want)
	}
	if want := []Alarm{
		{"dns-tunnel", 2, 1, 1, map[string]int{"web": 1}}, {"shadowsocks", 1, 0, 0, map[string]int{"other/FTP": 1}},
	}; !reflect.DeepEqual(all.Alarms.Labels, want) {
		t.Errorf("by label %+v, want %+v", all.Alarms.Labels, want)
	}
	if g := r.OpenSet.Groups; len(g) != 2 || g[0].Name != "one" || g[0].Flows != 2 || g[1].Captures != 2 || g[1].Alarms.False != 2 {
		t.Errorf("groups %+v", g)
	}
	// web: TP 1, FN 2, FP 1 (quic): 2/5. dns-tunnel: TP 1, FP 1: 2/3. The background
	// is no class.
	if want := (2./5 + 2./3) / 2; math.Abs(r.Macro-want) > 1e-12 {
		t.Errorf("macro F1 %v, want %v", r.Macro, want)
	}
	if math.Abs(r.Weighted-(3*2./5+2./3)/4) > 1e-12 {
		t.Errorf("weighted F1 %v", r.Weighted)
	}
	var names []string
	for _, k := range r.Kinds {
		names = append(names, k.Label)
	}
	if got := strings.Join(names, " "); got != "dns-tunnel web other quic snmp" {
		t.Errorf("kinds %s", got)
	}
	if web := r.Kinds[1]; web.Flows != 3 || web.Captures != 3 || web.Right != 1./3 || web.Wrong != 1./3 || web.Background != 1./3 || web.Given["dns-tunnel"] != 1 || len(web.Given) != 1 {
		t.Errorf("web %+v", web)
	}
	if r.Accepted.Wrong != 3./4 { // as the promise counts: the background is a label, and near is wrong
		t.Errorf("accepted %+v", r.Accepted)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"background: a label all the same", "of 10,000", "other/FTP 1", "\nsource ", "real mixtures"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, text.String())
		}
	}
}

// A label that is right for some flows of a kind counts against it elsewhere.
func TestScoresOfCoveredKinds(t *testing.T) {
	j := newJudge(&bundle.Manifest{Labels: []string{"remote-desktop", "web"}})
	flows := []flowResult{{truth: "rdp"}, {truth: "vnc"}, {truth: "web"}, {truth: "snmp"}}
	for i, label := range []string{"remote-desktop", "web", "remote-desktop", "unknown"} {
		flows[i].Label = label
	}
	j.judge(flows)
	// rdp: TP 1, FP 1. vnc: FN 1. web: FN 1, FP 1.
	if got, want := j.scores(flows).Macro, (2./3+0+0)/3; math.Abs(got-want) > 1e-12 {
		t.Errorf("macro F1 %v, want %v", got, want)
	}
}

// A line that means one flow is left to the nearest, the first of equals.
func TestNearest(t *testing.T) {
	results := []flowResult{{truth: "a"}, {truth: "a"}, {truth: "a"}, {truth: "b"}, {truth: "c"}, {truth: "c"}}
	nearest(results, []groundtruth.Answer{{Line: 1, Apart: 9}, {Line: 1, Apart: 3}, {Line: 1, Apart: 3}, {Line: 2, Apart: 50}, {}, {}})
	var got []string
	for _, r := range results {
		got = append(got, r.truth)
	}
	if text := strings.Join(got, ","); text != ",a,,b,c,c" {
		t.Errorf("truth %s", text)
	}
}

func TestNatural(t *testing.T) {
	o := Options{Natural: "natural", Captures: []dataset.Capture{
		{Fields: map[string]string{"natural": "1"}}, {Fields: map[string]string{"natural": "0"}}, {},
	}}
	if got, err := o.natural(); err != nil || !reflect.DeepEqual(got, []bool{true, false, false}) {
		t.Errorf("%v, %v", got, err)
	}
	o.Captures = append(o.Captures, dataset.Capture{File: "x.pcap", Fields: map[string]string{"natural": "maybe"}})
	if _, err := o.natural(); err == nil || !strings.Contains(err.Error(), `x.pcap: column natural: "maybe"`) {
		t.Errorf("%v", err)
	}
}
