package replay

import "serveflow/sidecar/features/packet"

// Record is one packet of a capture.
type Record struct {
	// Time is the time stamp in µs since the epoch.
	Time int64
	// Link is what Frame begins with. It is not valid if Unread is set.
	Link packet.Link
	// Unread is why the frame cannot be read although others can: a capture may
	// have interfaces of several link types.
	Unread error
	// Frame holds the captured bytes, valid until the next record is read.
	Frame []byte
	// WireLen is the packet's length on the wire in bytes, at least
	// len(Frame).
	WireLen int
}

// MaxRecord bounds the captured bytes of one packet, as tcpdump does
// (MAXIMUM_SNAPLEN): a longer record counts as damage.
const MaxRecord = 256 << 10

// maxTime keeps the arithmetic with time stamps of hostile captures from
// overflowing.
const maxTime = 1 << 60

func clampTime(us int64) int64 { return max(0, min(us, maxTime)) }
