package groundtruth

import "serveflow/sidecar/features/packet"

// By says where the label of a flow is from, or why it has none.
type By uint8

// What tells a label, and, from NoLog on, why there is none.
const (
	ByCapture  By = iota // the capture it is in
	ByList               // a list of flows
	ByName               // the server's name in TLS or QUIC
	ByDNS                // the name that DNS had the server's address for
	ByService            // the service that Zeek found
	NoLog                // the flow is in no log and no list
	NoName               // it has neither name nor service
	NoRule               // no rule is about its name or service
	InConflict           // there are two labels
)

// Answer is what is known of a flow's label.
type Answer struct {
	Label string // "" if there is none
	By    By
	// Detail is the finer kind that a list names.
	Detail string
	// Line is the number of the list's line, counted from 1 over all lists, if it
	// has a start and so means one flow; Apart is how far, in µs, that is from the
	// flow's. Of several flows with a line, the nearest is the one meant.
	Line  int
	Apart int64
	// Unmatched is the name or service that no rule is about, with NoRule.
	Unmatched string
}

// Of returns the label of a flow of a capture, which starts at a time in µs since
// the epoch. Of the capture's path only the name matters, and only to lines of
// lists that name one.
func (l *Labels) Of(capture string, t packet.Tuple, start int64) Answer {
	key, ok := l.community(t)
	if !ok {
		return Answer{By: NoLog}
	}
	var v votes
	line := l.listed(&v, l.inCapture(key, captureName(capture)), start)
	if line == nil {
		line = l.listed(&v, key, start)
	}
	if v.any() {
		a := v.answer(ByList)
		if a.By == ByList {
			a.Detail = l.words.text[line.value.detail]
			if line.at != untimed {
				a.Line, a.Apart = line.value.number, max(line.at-start, start-line.at)
			}
		}
		return a
	}
	conns := l.conns.near(key, start)
	by, named := ByName, false
	for _, c := range conns {
		for _, e := range l.servers.of(c.value.uid) {
			named = true
			v.name(l, e.value)
		}
	}
	if !named {
		by = ByDNS
		v.dns(l, t, start)
	}
	if v.any() {
		return v.answer(by)
	}
	for _, c := range conns {
		v.service(l, c.value.service)
	}
	switch {
	case v.any():
		return v.answer(ByService)
	case v.unmatched != "":
		return Answer{By: NoRule, Unmatched: v.unmatched}
	case len(conns) == 0:
		return Answer{By: NoLog}
	}
	return Answer{By: NoName}
}

// votes are the labels that one source has for a flow.
type votes struct {
	label, unmatched string
	conflict         bool
}

func (v *votes) add(label string) {
	v.conflict = v.conflict || v.label != "" && v.label != label
	v.label = label
}

func (v *votes) any() bool { return v.label != "" }

func (v *votes) answer(by By) Answer {
	if v.conflict {
		return Answer{By: InConflict}
	}
	return Answer{Label: v.label, By: by}
}

// miss takes note of the first name or service that no rule is about.
func (v *votes) miss(what string) {
	if v.unmatched == "" {
		v.unmatched = what
	}
}

// listed asks the lines about a flow: those with its start, else those without any.
// It returns the first of them, or nil.
func (l *Labels) listed(v *votes, key uint64, start int64) *entry[line] {
	lines := l.flows.near(key, start)
	if len(lines) == 0 {
		lines = l.flows.of(key)
		lines = lines[:lines.upto(untimed)]
	}
	if len(lines) == 0 {
		return nil
	}
	for _, e := range lines {
		v.add(l.words.text[e.value.label])
	}
	return &lines[0]
}

func (v *votes) name(l *Labels, n uint32) {
	name := l.names.text[n]
	if label := l.rules.name(name); label != "" {
		v.add(label)
	} else {
		v.miss(name)
	}
}

// mostAnswers bounds how far back DNS answers are looked at for a conflict.
const mostAnswers = 16

// dns asks the answers by which the originator may have found the responder.
func (v *votes) dns(l *Labels, t packet.Tuple, start int64) {
	answers := l.answers.of(l.ends(t.Src, t.Dst))
	n := answers.upto(start - 1) // a row of dns.log has the time of the question
	answers = answers[max(0, n-mostAnswers):n]
	found := false
	for i := len(answers) - 1; i >= 0; i-- {
		e := answers[i].value
		if e.until < start {
			continue
		}
		if !found {
			found = true
			if v.name(l, e.name); !v.any() {
				return // the last answer counts; it has no label
			}
		} else if label := l.rules.name(l.names.text[e.name]); label != "" {
			v.add(label)
		}
	}
}

func (v *votes) service(l *Labels, n uint32) {
	service := l.services.text[n]
	labels := l.rules.service(service)
	for _, label := range labels {
		v.add(label)
	}
	if len(labels) == 0 && service != "" {
		v.miss("service " + service)
	}
}
