package replay

import (
	"encoding/binary"
	"fmt"

	"serveflow/sidecar/features/packet"
)

// Rules determine which packets are one flow: those of an IDS. The package comment
// describes them.
type Rules uint8

// The rules there are.
const (
	Zeek     Rules = iota
	Suricata       // 7
	Suricata8
)

// String returns the name in lower case.
func (r Rules) String() string { return [...]string{"zeek", "suricata", "suricata8"}[r] }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rules) UnmarshalText(text []byte) error {
	for _, *r = range []Rules{Zeek, Suricata, Suricata8} {
		if r.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("%q: use zeek, suricata or suricata8", text)
}

// lists returns where open flows wait to end: after Zeek's default times, or
// those of the suricata.yaml that comes with Suricata.
func (r Rules) lists() lists {
	if r != Zeek {
		whole := r == Suricata
		return lists{
			attempts: waiting{after: 60 * second, whole: whole},
			tcp:      waiting{after: 600 * second, whole: whole},
			closing:  waiting{after: 60 * second, whole: whole},
			single:   waiting{after: 30 * second, whole: whole},
			other:    waiting{after: 300 * second, whole: whole},
		}
	}
	return lists{
		attempts: waiting{after: unanswered, fixed: true},
		tcp:      waiting{after: tcpQuiet},
		closing:  waiting{after: lingering, fixed: true},
		lookups:  waiting{after: lookupLook, fixed: true, quiet: lookupQuiet},
		halves:   waiting{after: halfLook, fixed: true, quiet: halfQuiet, unsorted: true},
		single:   waiting{after: otherQuiet},
		other:    waiting{after: otherQuiet},
	}
}

// lookup reports whether a flow is DNS over UDP, whose sessions Zeek's analyzer
// ends sooner.
func (r Rules) lookup(fl *flow) bool {
	if r != Zeek || fl.key.Proto != packet.UDP {
		return false
	}
	// Where an answer comes first, Zeek takes the end with the port of a server for
	// the responder, unless the other has one, too.
	return isDNS(fl.tuple.DstPort) || isDNS(fl.tuple.SrcPort) && fl.tuple.DstPort >= 1024
}

// isDNS reports whether Zeek takes a port for DNS: dns_ports in its base/protocols/dns.
func isDNS(port uint16) bool {
	switch port {
	case 53, 137, 5353, 5355:
		return true
	}
	return false
}

// quiet reports whether a flow is over by the time of its own packets alone, which
// counts for Suricata if a capture's clock steps back.
func (r Rules) quiet(fl *flow, now int64) bool {
	switch r {
	case Suricata:
		return now/second > fl.last/second+fl.list.after/second
	case Suricata8:
		return now >= fl.last+fl.list.after
	}
	return false
}

// opened says whether a TCP flow waits as one that the responder has answered,
// or, to Suricata, as one of a whole handshake.
func (r Rules) opened(fl *flow) bool {
	if r != Zeek {
		return fl.tcp.shook == handshaken
	}
	return fl.tcp.opened
}

// closed reports whether TCP has ended the flow.
func (r Rules) closed(fl *flow) bool {
	t := &fl.tcp
	if r != Zeek {
		return t.shook != 0 && (t.rst || t.broken || t.fin[0] && t.fin[1])
	}
	return t.rst || t.fin[0] && t.fin[1] || t.alone
}

// resets reports whether a RST counts. While Suricata waits for the answer to a SYN, it
// takes one of the responder alone, with the number 0, that acknowledges the SYN or
// nothing.
func (r Rules) resets(fl *flow, dir packet.Dir, tcp []byte) bool {
	if r == Zeek || fl.tcp.shook != 1 {
		return true
	}
	seq, ack := binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])
	return dir == packet.Responder && seq == 0 && (tcp[13]&flagACK == 0 || ack == 0 || ack == fl.tcp.isn+1)
}

// reused reports whether a SYN between the flow's endpoints begins a new flow;
// same: it has the sequence number of the flow's own.
func (r Rules) reused(fl *flow, same bool) bool {
	t := &fl.tcp
	if r != Zeek {
		// Of a flow from mid-stream it knows no session that might go on.
		return t.shook == 0 || r.closed(fl) && !same
	}
	return t.fin[0] || t.fin[1] || t.rst || !same
}

// flow says whether a packet belongs to a flow that the IDS keeps; outer: another
// packet is inside. To Suricata, protocols that it does not decode have none.
func (r Rules) flow(l *layer, outer bool) bool {
	proto, version := l.headers.Tuple.Proto, l.headers.Tuple.Version
	if r == Zeek {
		return !outer || proto == packet.UDP
	}
	switch proto {
	case packet.TCP, packet.UDP, packet.SCTP, protoESP:
		return true
	case protoIPv4, protoIPv6:
		return r == Suricata8 || proto == protoIPv6 && version == 4
	case packet.ICMP:
		return version == 4
	case packet.ICMPv6:
		return version == 6
	}
	return false
}
