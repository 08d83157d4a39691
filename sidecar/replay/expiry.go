package replay

import "container/heap"

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

// waiting holds flows until the end of their timeout: in a list, at whose end they
// are added, where timeouts end in the order in which they begin, and else in a heap.
// The clock never goes back, and one timeout per list keeps it sorted.
type waiting struct {
	after       int64 // µs from being added until the time is up
	whole       bool  // up when the second is over: Suricata 7 compares whole seconds
	fixed       bool  // these run from what brought the flow here, not from its newest packet
	quiet       int64 // the flow stays for as long again if its newest packet is younger; 0: it does not
	unsorted    bool  // timeouts end in any order
	first, last *flow
	heap        byDue // if unsorted
}

// add puts fl, which is in no list, in.
func (w *waiting) add(fl *flow, clock int64) {
	due := clock + w.after
	if w.whole {
		due += second - due%second
	}
	w.insert(fl, due)
}

// insert puts fl, which is in no list, in until the given time.
func (w *waiting) insert(fl *flow, due int64) {
	fl.list, fl.due = w, due
	if w.unsorted {
		heap.Push(&w.heap, fl)
		return
	}
	fl.prev = w.last
	if w.last != nil {
		w.last.next = fl
	} else {
		w.first = fl
	}
	w.last = fl
}

// soonest returns the flow whose timeout ends first, nil if there is none.
func (w *waiting) soonest() *flow {
	if len(w.heap) > 0 {
		return w.heap[0]
	}
	return w.first
}

// remove takes fl out.
func (w *waiting) remove(fl *flow) {
	fl.list = nil
	if w.unsorted {
		heap.Remove(&w.heap, fl.place)
		return
	}
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
	fl.prev, fl.next = nil, nil
}

// byDue is a heap of flows by the end of their timeout, and then by their number.
type byDue []*flow

// Len implements sort.Interface.
func (b byDue) Len() int { return len(b) }

// Less implements sort.Interface.
func (b byDue) Less(i, j int) bool {
	return b[i].due < b[j].due || b[i].due == b[j].due && b[i].id < b[j].id
}

// Swap implements sort.Interface.
func (b byDue) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = i, j
}

// Push implements heap.Interface.
func (b *byDue) Push(x any) {
	fl := x.(*flow)
	fl.place = len(*b)
	*b = append(*b, fl)
}

// Pop implements heap.Interface.
func (b *byDue) Pop() any {
	last := len(*b) - 1
	fl := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]
	return fl
}
