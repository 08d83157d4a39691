// Package packet parses the headers of one captured packet and keeps the few bytes
// of it that models use.
//
// [Parse] reads a frame into a [Headers], which has offsets into that frame and the
// values that flows are built from. [Packet] is what a flow keeps: the network and
// the transport header, the time, the direction and the lengths, in a fixed size
// without pointers, so that a table of millions costs the garbage collector
// nothing.
//
//	var h packet.Headers
//	if err := packet.Parse(&h, packet.Ethernet, frame); err != nil {
//		return err // counted by reason: ErrTruncated, ErrNotIP, ErrMalformed
//	}
//	var p packet.Packet
//	p.SetFrame(&h, frame, ts, packet.Originator)
//
// Frames come from outside and may be hostile: nothing here panics or allocates,
// whatever the bytes, and every loop over headers is bounded. Frames are often cut,
// because taps send the first bytes only: what is not there is missing, never zero.
package packet

// Missing stands for a number that the packet does not have.
const Missing = -1

// Dir is the end of the flow that sent a packet.
type Dir uint8

// Directions as they stand in the wire protocol.
const (
	Originator Dir = 0 // the end that sent the flow's first packet
	Responder  Dir = 1
	Unknown    Dir = 2
)

// IP protocol numbers (IANA "Assigned Internet Protocol Numbers") of the
// transports that Parse looks into.
const (
	ICMP   uint8 = 1
	TCP    uint8 = 6
	UDP    uint8 = 17
	ICMPv6 uint8 = 58
	SCTP   uint8 = 132
)
