package evaluate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"serveflow/sidecar/decide/cascade"
)

// OpenSet is how a bundle does among traffic that is not all of the kinds it knows:
// flows of other kinds are background, and should get no label but unknown or that
// of the background. kinds.toml says which labels are right for which kinds, and
// which are near: neither right nor wrong.
type OpenSet struct {
	All Figures `json:"all"`
	// Natural is of the captures that are real mixtures of traffic; nil without any.
	Natural *Figures `json:"natural,omitempty"`
	Groups  []Group  `json:"groups,omitempty"` // by name
}

// Group is the captures of one source, or whatever they are grouped by.
type Group struct {
	Name string `json:"name"`
	Figures
}

// Figures are of some captures. "Labelled" and "labels given" are of labels that
// name a kind: neither unknown nor that of the background.
type Figures struct {
	Flows    int `json:"flows"`
	Captures int `json:"captures"`
	// Of flows of kinds that the bundle knows:
	KnownRight   Share  `json:"known_right"`
	KnownNone    Share  `json:"known_none"` // unknown, or the label of the background
	KnownWrong   Share  `json:"known_wrong"`
	Background   Share  `json:"background_labelled"` // of background
	Precision    Share  `json:"precision"`           // right, of the labels given
	WithNear     Share  `json:"precision_with_near"` // right or near, of the labels given
	Accepted     Share  `json:"accepted"`            // labelled by a stage before the last, of all flows
	AcceptWrong  Share  `json:"accepted_wrong"`      // of these
	AcceptWrongK Share  `json:"accepted_wrong_known"`
	Alarms       Alarms `json:"alarms"`
}

// Share is a share of flows, 0 to 1: of all alike, and with one vote for each
// capture, so that no capture counts for its many flows.
type Share struct {
	Flows     int     `json:"flows"` // that it is a share of
	ByFlow    float64 `json:"by_flow"`
	ByCapture float64 `json:"by_capture"`
}

// Alarms are labels that an analyst acts on.
type Alarms struct {
	Ordinary int `json:"ordinary"` // flows that no alarm is meant for
	False    int `json:"false"`    // of these, with an alarm that is not right
	// The false ones of 10,000 ordinary flows, each capture having one vote in
	// the second.
	Per10000          float64 `json:"false_per_10000"`
	Per10000ByCapture float64 `json:"false_per_10000_by_capture"`
	Captures          int     `json:"captures"`       // with ordinary flows
	CapturesFalse     int     `json:"captures_false"` // of these, with a false alarm
	Given             int     `json:"given"`
	Right             int     `json:"right"`       // given to a flow that alarms are meant for, and of its kind
	Meant             int     `json:"meant"`       // flows that alarms are meant for
	MeantRight        int     `json:"meant_right"` // of these, with a label of their kind
	MeantAlarm        int     `json:"meant_alarm"` // of these, with any alarm
	Labels            []Alarm `json:"labels,omitempty"`
}

// Alarm is one label that is an alarm.
type Alarm struct {
	Label    string `json:"label"`
	Given    int    `json:"given"`
	Right    int    `json:"right"`
	Accepted int    `json:"accepted"` // by a stage before the last
	// WrongOn counts the flows that it is not right for by kind, with its detail
	// where the kind is "other".
	WrongOn map[string]int `json:"wrong_on"`
}

// weigh gives each flow its share of its capture's vote.
func weigh(flows []flowResult) {
	count := map[int]int{}
	for i := range flows {
		count[flows[i].session]++
	}
	for i := range flows {
		flows[i].weight = 1 / float64(count[flows[i].session])
	}
}

func openSet(flows []flowResult) OpenSet {
	all := make([]*flowResult, len(flows))
	for i := range flows {
		all[i] = &flows[i]
	}
	o := OpenSet{All: figures(all, true)}
	if natural := where(all, func(f *flowResult) bool { return f.natural }); len(natural) > 0 {
		f := figures(natural, true)
		o.Natural = &f
	}
	groups := map[string][]*flowResult{}
	for _, f := range all {
		if f.group != "" {
			groups[f.group] = append(groups[f.group], f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		o.Groups = append(o.Groups, Group{name, figures(groups[name], false)})
	}
	return o
}

func figures(flows []*flowResult, alarms bool) Figures {
	known := where(flows, func(f *flowResult) bool { return f.known })
	given := where(flows, (*flowResult).labelled)
	accepted := where(given, (*flowResult).accepted)
	r := Figures{
		Flows: len(flows), Captures: captures(flows),
		KnownRight: shareOf(known, func(f *flowResult) bool { return f.right }),
		KnownNone:  shareOf(known, func(f *flowResult) bool { return f.none }),
		KnownWrong: shareOf(known, (*flowResult).wrong),
		Background: shareOf(where(flows, func(f *flowResult) bool { return !f.known }), (*flowResult).wrong),
		Precision:  shareOf(given, func(f *flowResult) bool { return f.right }),
		WithNear:   shareOf(given, func(f *flowResult) bool { return f.right || f.near }),
		Accepted:   shareOf(flows, func(f *flowResult) bool { return f.labelled() && f.accepted() }),

		AcceptWrong:  shareOf(accepted, (*flowResult).wrong),
		AcceptWrongK: shareOf(where(accepted, func(f *flowResult) bool { return f.known }), (*flowResult).wrong),
	}
	r.Alarms = alarmFigures(flows)
	if alarms {
		r.Alarms.Labels = alarmLabels(flows)
	}
	return r
}

func alarmFigures(flows []*flowResult) Alarms {
	ordinary := where(flows, func(f *flowResult) bool { return f.ordinary })
	meant := where(flows, func(f *flowResult) bool { return !f.ordinary })
	given := where(flows, func(f *flowResult) bool { return f.alarm })
	isFalse := func(f *flowResult) bool { return f.alarm && !f.right }
	wrong := where(ordinary, isFalse)
	per := shareOf(ordinary, isFalse)
	return Alarms{
		Ordinary: len(ordinary), False: len(wrong),
		Per10000: 1e4 * per.ByFlow, Per10000ByCapture: 1e4 * per.ByCapture,
		Captures: captures(ordinary), CapturesFalse: captures(wrong),
		Given: len(given), Right: count(given, (*flowResult).alarmRight),
		Meant: len(meant), MeantRight: count(meant, func(f *flowResult) bool { return f.right && !f.none }),
		MeantAlarm: count(meant, func(f *flowResult) bool { return f.alarm }),
	}
}

// alarmLabels is by label, the most frequent first.
func alarmLabels(flows []*flowResult) (list []Alarm) {
	by := map[string]*Alarm{}
	for _, f := range flows {
		if !f.alarm {
			continue
		}
		a := by[f.Label]
		if a == nil {
			a = &Alarm{Label: f.Label, WrongOn: map[string]int{}}
			by[f.Label] = a
		}
		a.Given++
		if f.alarmRight() {
			a.Right++
		}
		if f.accepted() {
			a.Accepted++
		}
		if !f.right {
			on := f.truth
			if on == "other" && f.detail != "" {
				on += "/" + f.detail
			}
			a.WrongOn[on]++
		}
	}
	for _, a := range by {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(b.Given, a.Given), strings.Compare(a.Label, b.Label))
	})
	return list
}

// labelled says that the flow's label names a kind.
func (f *flowResult) labelled() bool { return !f.none }

func (f *flowResult) alarmRight() bool { return f.right && !f.ordinary }

func (f *flowResult) accepted() bool { return f.Reason == acceptedReason }

var acceptedReason = cascade.Accepted.String()

func where(flows []*flowResult, is func(*flowResult) bool) (chosen []*flowResult) {
	for _, f := range flows {
		if is(f) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

func count(flows []*flowResult, is func(*flowResult) bool) int { return len(where(flows, is)) }

func captures(flows []*flowResult) int {
	seen := map[int]bool{}
	for _, f := range flows {
		seen[f.session] = true
	}
	return len(seen)
}

func shareOf(flows []*flowResult, is func(*flowResult) bool) Share {
	n, all, part := 0, 0., 0.
	for _, f := range flows {
		all += f.weight
		if is(f) {
			n++
			part += f.weight
		}
	}
	return Share{len(flows), share(n, len(flows)), ratio(part, all)}
}
