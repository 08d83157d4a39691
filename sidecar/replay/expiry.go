package replay

// Times after which a flow ends, in µs: Zeek's defaults.
const (
	second = 1_000_000

	tcpQuiet   = 300 * second // tcp_inactivity_timeout
	otherQuiet = 60 * second  // udp_, icmp_ and unknown_ip_inactivity_timeout
	unanswered = 5 * second   // tcp_attempt_delay
	lingering  = 5 * second   // tcp_close_delay

	lookupLook  = 10 * second  // dns_session_timeout: how often it looks
	lookupQuiet = 9 * second   // and what it then takes for over
	halfLook    = 6 * second   // tcp_session_timer: how often it looks at a flow of which one end has closed
	halfQuiet   = 5*second + 1 // more than tcp_connection_linger: what it then takes for over
)

// lists are the open flows by timeout.
type lists struct {
	attempts      waiting // TCP flows without an answer
	tcp           waiting // TCP flows that packets keep open
	closing       waiting // TCP flows that were closed
	lookups       waiting // flows of DNS, to Zeek
	halves        waiting // TCP flows of which one end sent a FIN and then a RST, to Zeek
	overdue       waiting // flows whose packet is older than the clock by more than their time
	single, other waiting // flows of other protocols: one end was heard, or both
}

// waiting is a list of flows ordered by the end of their timeout. Most flows are
// added at the end: the clock never goes back, and one timeout per list keeps it
// sorted.
type waiting struct {
	after       int64 // µs from being added until the time is up
	whole       bool  // up when the second is over: Suricata 7 compares whole seconds
	fixed       bool  // these run from what brought the flow here, not from its newest packet
	quiet       int64 // the flow stays for as long again if its newest packet is younger; 0: it does not
	first, last *flow
}

// add puts fl, which is in no list, at the end.
func (w *waiting) add(fl *flow, clock int64) {
	due := clock + w.after
	if w.whole {
		due += second - due%second
	}
	w.insert(fl, due)
}

// insert puts fl, which is in no list, after those whose timeout ends no later.
func (w *waiting) insert(fl *flow, due int64) {
	before, after := w.last, (*flow)(nil)
	for before != nil && before.due > due {
		before, after = before.prev, before
	}
	fl.list, fl.due, fl.prev, fl.next = w, due, before, after
	if before != nil {
		before.next = fl
	} else {
		w.first = fl
	}
	if after != nil {
		after.prev = fl
	} else {
		w.last = fl
	}
}

// remove takes fl out.
func (w *waiting) remove(fl *flow) {
	if fl.prev != nil {
		fl.prev.next = fl.next
	} else {
		w.first = fl.next
	}
	if fl.next != nil {
		fl.next.prev = fl.prev
	} else {
		w.last = fl.prev
	}
	fl.list, fl.prev, fl.next = nil, nil, nil
}
