package replay

import (
	"errors"

	"serveflow/sidecar/features/packet"
)

// Packets is the source of Flows: a Source, or anything else that returns packets
// in the order of their time.
type Packets interface {
	// Next reads the next packet. Any error is final; io.EOF ends the
	// capture. The frame is valid until the following call.
	Next(*Record) error
}

// Options of Flows.
type Options struct {
	// IgnoreChecksums takes packets with bad checksums too, as Zeek's -C. For
	// captures of a host's own traffic, whose checksums the network card
	// fills in after the capture.
	IgnoreChecksums bool
	// Rules say which packets are one flow.
	Rules Rules
}

// Flows turns packets into events of flows, by the rules in the package comment.
// Memory is bounded by the number of open flows.
type Flows struct {
	from    Packets
	options Options
	counts  Counts
	clock   int64 // latest time seen

	open map[flowKey]*flow
	lists
	spare *flow // ended flows, linked by next, to be used again

	rec    Record
	layers [1 + maxTunnels]layer
	found  [1 + maxTunnels]*layer
	queued []*layer // of found, what is not yet dealt with
	err    error    // what ended the capture
}

// NewFlows returns the flows of the packets in from.
func NewFlows(from Packets, o Options) *Flows {
	return &Flows{
		from:    from,
		options: o,
		open:    make(map[flowKey]*flow),
		lists:   o.Rules.lists(),
	}
}

// Next reads the next event into ev. Every flow has at least one PacketEvent and
// then exactly one EndEvent, even if the capture ends with an error, which comes
// last: io.EOF, or the source's.
func (f *Flows) Next(ev *Event) error {
	for {
		if f.err == nil && len(f.queued) == 0 {
			f.read()
		}
		if fl := f.soonest(); fl != nil {
			switch {
			case fl.due <= f.clock && f.clock-fl.last < fl.list.quiet:
				again := fl.list
				again.remove(fl)
				again.add(fl, f.clock)
				continue
			case fl.due <= f.clock:
				f.end(ev, fl, f.cause(fl), fl.due)
				return nil
			case f.err != nil:
				cause := CaptureOver
				if fl.list == &f.closing || fl.list == &f.halves {
					cause = f.cause(fl)
				}
				f.end(ev, fl, cause, f.clock)
				return nil
			}
		}
		if f.err != nil {
			return f.err
		}
		if len(f.queued) > 0 {
			f.take(ev)
			return nil
		}
	}
}

// Counts counts the packets read so far.
func (f *Flows) Counts() Counts { return f.counts }

func (f *Flows) read() {
	if f.err = f.from.Next(&f.rec); f.err != nil {
		return
	}
	f.counts.Packets++
	if f.rec.Unread != nil {
		f.counts.Skipped.Link++
		return
	}
	f.clock = max(f.clock, f.rec.Time)
	f.locate()
}

// take makes ev of the first packet to do: a packet of a flow, or the end of
// the flow that has to make room for it.
func (f *Flows) take(ev *Event) {
	l := f.queued[0]
	key, reverse := f.options.Rules.key(l)
	fl := f.open[key]
	switch { // where the flow ends, the packet comes again, to a key without one
	case fl == nil:
	case f.options.Rules.quiet(fl, f.rec.Time):
		f.end(ev, fl, Quiet, f.rec.Time)
		return
	case fl.reusedBy(l, f.options.Rules):
		f.end(ev, fl, Reused, f.rec.Time)
		return
	}
	f.queued = f.queued[1:]
	if fl == nil {
		fl = f.begin(key, reverse, l)
	}
	fl.last = max(fl.last, f.rec.Time)
	dir := fl.count(reverse, l, f.options.Rules)
	f.wait(fl)

	h := l.headers
	*ev = Event{
		Kind: PacketEvent, Flow: fl.id, Time: f.rec.Time, Tuple: fl.tuple,
		OrigPkts: fl.pkts[0], RespPkts: fl.pkts[1], OrigBytes: fl.bytes[0], RespBytes: fl.bytes[1],
		Dir: dir, Link: packet.RawIP,
		Frame: l.frame[h.NetOff:l.end()], WireLen: l.wireEnd() - h.NetOff,
	}
	h.TransOff -= h.NetOff
	h.NetOff = 0
	ev.Headers = h
}

// locate finds the flows of rec: that of the innermost readable packet, and those
// of the packets around it that count too. If there is none, the cause is counted.
func (f *Flows) locate() {
	skipped := &f.counts.Skipped
	f.queued = f.found[:0]
	l := &f.layers[0]
	*l = layer{link: f.rec.Link, frame: f.rec.Frame, wireLen: f.rec.WireLen}
	switch err := l.parse(); {
	case err == nil:
	case errors.Is(err, packet.ErrNotIP):
		skipped.NotIP++
		return
	case errors.Is(err, packet.ErrTruncated):
		skipped.Truncated++
		return
	default:
		skipped.Malformed++
		return
	}
	for depth := 1; ; depth++ {
		if !f.options.IgnoreChecksums && !packet.ChecksumsOK(&l.headers, l.frame) {
			skipped.Checksum++
			return
		}
		if f.options.Rules != Zeek && !l.whole() {
			skipped.Truncated++
			return
		}
		if depth == len(f.layers) || !l.open(&f.layers[depth], f.options.Rules) {
			break
		}
		if f.options.Rules.flow(l, true) {
			f.queued = append(f.queued, l)
		}
		l = &f.layers[depth]
	}
	switch {
	case l.headers.Fragment:
		skipped.Fragment++
	case !l.complete():
		skipped.Truncated++
	case !f.options.Rules.flow(l, false):
		skipped.Protocol++
	default:
		f.counts.Events++
		f.queued = append(f.queued, l)
	}
}

func (f *Flows) begin(key flowKey, reverse bool, l *layer) *flow {
	fl := f.spare
	if fl != nil {
		f.spare = fl.next
	} else {
		fl = new(flow)
	}
	f.counts.Flows++
	fl.begin(f.counts.Flows, key, reverse, l)
	f.open[key] = fl
	return fl
}

// wait puts a flow that had a packet into the list of its timeout.
func (f *Flows) wait(fl *flow) {
	rules := f.options.Rules
	to := &f.other
	switch {
	case fl.key.Proto == packet.TCP && rules.closed(fl):
		to = &f.closing
	case fl.key.Proto == packet.TCP && rules == Zeek && fl.tcp.broken:
		to = &f.halves
	case fl.key.Proto == packet.TCP && rules.opened(fl):
		to = &f.tcp
	case fl.key.Proto == packet.TCP:
		to = &f.attempts
	case rules.lookup(fl):
		to = &f.lookups
	case fl.pkts[0] == 0 || fl.pkts[1] == 0:
		to = &f.single
	}
	if fl.list == to && to.fixed {
		return
	}
	if fl.list != nil {
		fl.list.remove(fl)
	}
	if rules == Zeek && fl.last+to.after <= f.clock {
		to = &f.overdue
	}
	if to == &f.halves { // Zeek has looked at it since the first FIN
		looks := (f.clock-fl.tcp.finned)/to.after + 1
		to.insert(fl, fl.tcp.finned+looks*to.after)
		return
	}
	to.add(fl, f.clock)
}

// soonest returns the flow whose timeout ends first, nil if none is open.
func (f *Flows) soonest() *flow {
	var first *flow
	for _, w := range [...]*waiting{&f.overdue, &f.attempts, &f.closing, &f.halves, &f.lookups, &f.single, &f.other, &f.tcp} {
		if fl := w.soonest(); fl != nil && (first == nil || fl.due < first.due) {
			first = fl
		}
	}
	return first
}

// cause is why a flow whose timeout has ended is over.
func (f *Flows) cause(fl *flow) EndCause {
	switch {
	case fl.list == &f.attempts && fl.pkts[packet.Responder] == 0:
		return Unanswered
	case fl.list != &f.closing && fl.list != &f.halves:
		return Quiet
	case fl.tcp.rst || fl.tcp.broken:
		return Reset
	}
	return Closed
}

// end makes ev the end of a flow.
func (f *Flows) end(ev *Event, fl *flow, cause EndCause, time int64) {
	*ev = Event{
		Kind: EndEvent, Cause: cause, Flow: fl.id, Time: time, Tuple: fl.tuple,
		OrigPkts: fl.pkts[0], RespPkts: fl.pkts[1], OrigBytes: fl.bytes[0], RespBytes: fl.bytes[1],
	}
	fl.list.remove(fl)
	delete(f.open, fl.key)
	fl.next, f.spare = f.spare, fl
}
