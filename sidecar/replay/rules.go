package replay

import (
	"fmt"

	"serveflow/sidecar/features/packet"
)

// Rules say which packets are one flow: whose IDS is followed. The package
// comment has them.
type Rules uint8

// The rules there are.
const (
	Zeek Rules = iota
	Suricata
)

// String returns the name in lower case.
func (r Rules) String() string { return [...]string{"zeek", "suricata"}[r] }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rules) UnmarshalText(text []byte) error {
	for _, *r = range []Rules{Zeek, Suricata} {
		if r.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("%q: say zeek or suricata", text)
}

// lists returns where open flows wait to end: after Zeek's default times, or
// those of the suricata.yaml that comes with Suricata.
func (r Rules) lists() lists {
	if r == Suricata {
		return lists{
			attempts: waiting{after: 60 * second},
			tcp:      waiting{after: 600 * second},
			closing:  waiting{after: 60 * second},
			single:   waiting{after: 30 * second},
			other:    waiting{after: 300 * second},
		}
	}
	return lists{
		attempts: waiting{after: unanswered, fixed: true},
		tcp:      waiting{after: tcpQuiet},
		closing:  waiting{after: lingering, fixed: true},
		single:   waiting{after: otherQuiet},
		other:    waiting{after: otherQuiet},
	}
}

// opened says whether a TCP flow waits as one that the responder has answered,
// or, to Suricata, as one of a whole handshake.
func (r Rules) opened(fl *flow) bool {
	if r == Suricata {
		return fl.tcp.shook == handshaken
	}
	return fl.tcp.opened
}

// closed says whether TCP has ended the flow.
func (r Rules) closed(fl *flow) bool {
	t := &fl.tcp
	if r == Suricata {
		return t.shook != 0 && (t.rst || t.fin[0] && t.fin[1])
	}
	return t.rst || t.fin[0] && t.fin[1] || t.alone
}

// reused says whether a SYN between the flow's ends begins a new flow; same: it
// has the number of the flow's own.
func (r Rules) reused(fl *flow, same bool) bool {
	t := &fl.tcp
	if r == Suricata {
		// Of a flow from mid-stream it knows no session that might go on.
		return t.shook == 0 || r.closed(fl) && !same
	}
	return t.fin[0] || t.fin[1] || t.rst || !same
}

// outer says whether a packet with another one inside belongs to a flow, too.
func (r Rules) outer(l *layer) bool {
	return r == Suricata && l.headers.Tuple.Proto == packet.UDP
}
