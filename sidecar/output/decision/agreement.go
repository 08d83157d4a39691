package decision

import "strings"

// Agreement says whether the protocol that the IDS has detected fits the flow's
// label.
type Agreement uint8

// Agreements.
const (
	NotKnown Agreement = iota // the label has no list of protocols, or the IDS detected none
	Agrees
	Disagrees
)

// Compare compares the protocols that fit a label, separated by commas, with the
// protocol that Suricata has detected. Suricata's names for none are "failed" and
// "unknown".
func Compare(services, name string) Agreement {
	if services == "" || name == "" || name == "failed" || name == "unknown" {
		return NotKnown
	}
	for one := range strings.SplitSeq(services, ",") {
		if one == name {
			return Agrees
		}
	}
	return Disagrees
}

// append appends the member "agrees" of a JSON object, with the comma before it, or
// nothing if the agreement is not known.
func (a Agreement) append(dst []byte) []byte {
	switch a {
	case Agrees:
		return append(dst, `,"agrees":true`...)
	case Disagrees:
		return append(dst, `,"agrees":false`...)
	}
	return dst
}
