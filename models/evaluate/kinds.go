package evaluate

import (
	_ "embed" // of kinds.toml
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/bundle"
)

//go:embed kinds.toml
var kindsText string

// vocabulary is the text of kinds.toml.
type vocabulary struct {
	Right  map[string][]string `toml:"right"`
	Merged map[string][]string `toml:"merged"`
	Near   map[string][]string `toml:"near"`
	Alarm  struct {
		Kinds  []string `toml:"kinds"`
		Labels []string `toml:"labels"`
	} `toml:"alarm"`
}

var kinds = func() (v vocabulary) {
	meta, err := toml.Decode(kindsText, &v)
	if err != nil || len(meta.Undecoded()) > 0 {
		panic(fmt.Sprintf("kinds.toml: %v %v", err, meta.Undecoded()))
	}
	return v
}()

// kind is what a flow truly is: the label of the ground truth, and its detail.
type kind struct{ name, detail string }

// in says whether the kind is among those of a list of kinds.toml.
func (k kind) in(list []string) bool {
	for _, entry := range list {
		name, detail, detailed := strings.Cut(entry, "/")
		if name != k.name {
			continue
		}
		start, open := strings.CutSuffix(detail, "*")
		if !detailed || detail == k.detail || open && strings.HasPrefix(k.detail, start) {
			return true
		}
	}
	return false
}

// judge holds a bundle's labels against the truth.
type judge struct {
	labels     []string // without that of the background
	background string   // its label; or ""
	alarms     map[string]bool
	known      map[kind]bool // what has been asked before
}

func newJudge(m *bundle.Manifest) *judge {
	j := &judge{background: m.Background, alarms: map[string]bool{}, known: map[kind]bool{}}
	for _, l := range m.Labels {
		if l != j.background {
			j.labels = append(j.labels, l)
		}
	}
	alarms := m.Alarms
	if len(alarms) == 0 {
		alarms = kinds.Alarm.Labels
	}
	for _, l := range alarms {
		j.alarms[l] = true
	}
	return j
}

// right says whether a label is that of a kind.
func (j *judge) right(label string, k kind) bool {
	return label == k.name || k.in(kinds.Right[label]) || k.in(kinds.Merged[label]) && !slices.Contains(j.labels, k.name)
}

// isKnown says whether the bundle has a label that is right for the kind. All
// other kinds are background.
func (j *judge) isKnown(k kind) bool {
	known, asked := j.known[k]
	if !asked {
		for _, l := range j.labels {
			known = known || j.right(l, k)
		}
		j.known[k] = known
	}
	return known
}

// verdict is what a flow's label is worth.
type verdict struct {
	known bool // the bundle has a label for flows of this kind; others are background
	none  bool // the label is unknown, or that of the background
	right bool // of the flow's kind, or none for background
	near  bool // neither right nor wrong
	alarm bool // the label is an alarm
	// ordinary flows are those that no alarm is meant for.
	ordinary bool
}

// wrong says that the flow has a label of something else.
func (v *verdict) wrong() bool { return !v.none && !v.right && !v.near }

func (j *judge) of(k kind, label string) verdict {
	v := verdict{
		known: j.isKnown(k), none: label == bundle.UnknownLabel || label == j.background,
		alarm: j.alarms[label], ordinary: !k.in(kinds.Alarm.Kinds),
	}
	v.right = !v.none && j.right(label, k) || v.none && !v.known
	v.near = !v.none && !v.right && k.in(kinds.Near[label])
	return v
}

// judge judges each flow.
func (j *judge) judge(flows []flowResult) {
	for i := range flows {
		f := &flows[i]
		f.verdict = j.of(kind{f.truth, f.detail}, f.Label)
	}
}

// scores are F1 scores over the kinds that the bundle knows. A wrong label counts
// against each of them that it is right for, also where the flow is background.
func (j *judge) scores(flows []flowResult) Scores {
	type counts struct{ flows, right, given int }
	of := map[string]*counts{}
	total := 0
	for i := range flows {
		f := &flows[i]
		if !f.known {
			continue
		}
		c := of[f.truth]
		if c == nil {
			c = new(counts)
			of[f.truth] = c
		}
		c.flows++
		total++
		if f.right {
			c.right++
			c.given++
		}
	}
	byLabel := map[string][]string{}
	for _, l := range j.labels {
		for name := range of {
			if j.stands(l, name) {
				byLabel[l] = append(byLabel[l], name)
			}
		}
	}
	for i := range flows {
		if f := &flows[i]; !f.none && !f.right {
			for _, name := range byLabel[f.Label] {
				of[name].given++
			}
		}
	}
	var s Scores
	for _, c := range of {
		// F1 = 2TP / (2TP + FP + FN), and FP + TP are the given, FN + TP the true.
		f1 := 2 * float64(c.right) / float64(c.given+c.flows)
		s.Macro += f1 / float64(len(of))
		s.Weighted += f1 * float64(c.flows) / float64(total)
	}
	return s
}

// stands says whether a label is right for some flows of a kind.
func (j *judge) stands(label, name string) bool {
	if j.right(label, kind{name: name}) {
		return true
	}
	for _, entry := range kinds.Right[label] {
		if of, _, _ := strings.Cut(entry, "/"); of == name {
			return true
		}
	}
	return false
}
