package replay

import (
	"fmt"
	"strings"

	"serveflow/sidecar/features/packet"
)

// EventKind is the kind of an event.
type EventKind uint8

// The kinds of events.
const (
	PacketEvent EventKind = iota // a packet of the flow
	EndEvent                     // the flow is over: no event follows
)

// EndCause is why a flow ended.
type EndCause uint8

// The causes of an end.
const (
	NotEnded    EndCause = iota
	Closed               // TCP: FIN of both ends, or of one that heard nothing of the other
	Reset                // TCP: RST
	Unanswered           // TCP: nothing but SYNs until their time was up
	Quiet                // no packet for the protocol's inactivity time
	Reused               // TCP: a SYN began a new flow between the same ports
	CaptureOver          // the capture stopped before the flow did
)

var endCauses = [...]string{"", "closed", "reset", "unanswered", "quiet", "reused", "capture_over"}

// String returns the cause in snake case.
func (c EndCause) String() string {
	if int(c) < len(endCauses) {
		return endCauses[c]
	}
	return "invalid"
}

// Event is a packet or the end of a flow. Flows.Next overwrites it.
type Event struct {
	Kind EventKind
	// Cause is set in an EndEvent.
	Cause EndCause
	// Flow is the flow's number, from 1.
	Flow uint64
	// Time is in µs since the epoch: that of the packet, or the end of the flow's
	// timeout. Packets are in the order of the capture, whose times may step back.
	Time int64
	// Tuple names the flow, originator first, the same in all its events. Of
	// ICMP it holds type and code of the first packet.
	Tuple packet.Tuple
	// OrigPkts and RespPkts count the flow's packets by direction, this one
	// included.
	OrigPkts, RespPkts uint64
	// OrigBytes and RespBytes add up the lengths on the wire of those
	// packets with their link layer, as Suricata counts; in a tunnel from
	// the inner link layer, or the inner IP header, on.
	OrigBytes, RespBytes uint64

	// The rest is set in a PacketEvent and valid until the next event is
	// read.

	// Dir says which end of the flow sent the packet.
	Dir packet.Dir
	// Link says what Frame begins with: always packet.RawIP.
	Link packet.Link
	// Frame holds what was captured from the flow's own IP header to the end
	// of its IP packet, without link layer, outer headers and padding.
	Frame []byte
	// WireLen is the length on the wire in bytes, from where Frame begins.
	WireLen int
	// Headers is what packet.Parse finds in Frame.
	Headers packet.Headers
}

// Counts counts the packets of a capture by their use.
type Counts struct {
	Packets uint64 // read from the capture
	Flows   uint64 // flows begun
	Events  uint64 // packets that belong to a flow
	Skipped Skipped
}

// Add adds the counts of another capture.
func (c *Counts) Add(other *Counts) {
	c.Packets += other.Packets
	c.Flows += other.Flows
	c.Events += other.Events
	s, o := &c.Skipped, &other.Skipped
	s.Link += o.Link
	s.Protocol += o.Protocol
	s.NotIP += o.NotIP
	s.Malformed += o.Malformed
	s.Truncated += o.Truncated
	s.Checksum += o.Checksum
	s.Fragment += o.Fragment
}

// Skipped counts the packets that belong to no flow, by cause.
type Skipped struct {
	Link      uint64 // of an interface whose link type is not read
	Protocol  uint64 // of IP protocols for which the IDS keeps no flows
	NotIP     uint64 // ARP, spanning tree and the like
	Malformed uint64 // lengths that contradict each other
	Truncated uint64 // cut before the end of the IP header, or of the fixed part of the TCP, UDP or ICMP header
	Checksum  uint64 // bad IPv4, TCP, UDP, ICMP or ICMPv6 checksum
	Fragment  uint64 // fragments that are not the first of their packet
}

// String names the causes that there were, with their numbers.
func (s Skipped) String() string {
	var list []string
	for _, cause := range [...]struct {
		n    uint64
		what string
	}{
		{s.Link, "of a link type that is not read"}, {s.NotIP, "not IP"},
		{s.Protocol, "of an IP protocol without flows"}, {s.Malformed, "malformed"}, {s.Truncated, "cut inside a header"},
		{s.Checksum, "with a bad checksum"}, {s.Fragment, "later fragments"},
	} {
		if cause.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", cause.n, cause.what))
		}
	}
	return strings.Join(list, ", ")
}

// Sum returns the number of all skipped packets.
func (s Skipped) Sum() uint64 {
	return s.Link + s.Protocol + s.NotIP + s.Malformed + s.Truncated + s.Checksum + s.Fragment
}
