package decision

import "strings"

// Agreement says whether the IDS's own name for a flow's protocol goes together
// with the flow's label.
type Agreement uint8

// Agreements.
const (
	NotKnown Agreement = iota // one of the two is missing
	Agrees
	Disagrees
)

// Compare compares the protocols that go together with a label, separated by
// commas, with the name that Suricata gives to the flow's. Where Suricata found
// no protocol, it says so by the names "failed" and "unknown".
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

// append writes an agreement that is known as the member "agrees" of a JSON
// object, the comma before it included.
func (a Agreement) append(dst []byte) []byte {
	switch a {
	case Agrees:
		return append(dst, `,"agrees":true`...)
	case Disagrees:
		return append(dst, `,"agrees":false`...)
	}
	return dst
}
