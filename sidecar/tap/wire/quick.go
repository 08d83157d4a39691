package wire

import (
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// What quick takes begins with these: an array of nine elements, or of three.
const (
	quickPacket = 0x99
	quickEnd    = 0x93
)

// quick reads a PACKET or an END that lies whole in the buffer and is written in the
// usual way, as nearly every message is. For all others, malformed ones among them, it
// returns false and has read nothing: message reads those.
func (d *Decoder) quick(m *Message) bool {
	r := &d.in
	start := r.pos
	if r.end-start < longest {
		return false
	}
	array, kind := r.buf[start], Kind(r.buf[start+1])
	if (array != quickPacket || kind != KindPacket) && (array != quickEnd || kind != KindEnd) {
		return false
	}
	if m.Kind != kind { // else the fields below are all that are set
		*m = Message{buf: m.buf, Kind: kind}
	}
	r.pos += 2
	var time uint64
	if r.flow(&m.Flow) && r.upTo(math.MaxInt64, &time) && (kind == KindEnd || r.packet(m)) {
		m.Time = int64(time)
		return true
	}
	r.pos = start
	return false
}

// packet reads what PACKET has after its time.
func (r *reader) packet(m *Message) bool {
	var dir, length, link uint64
	if !r.upTo(2, &dir) || !r.upTo(math.MaxInt64, &m.OrigPkts) || !r.upTo(math.MaxInt64, &m.RespPkts) ||
		!r.upTo(math.MaxUint32, &length) || !r.upTo(math.MaxUint32, &link) || m.OrigPkts == 0 && m.RespPkts == 0 {
		return false
	}
	n, ok := r.length()
	if !ok || n > MaxRaw || n > r.end-r.pos {
		return false
	}
	m.Dir, m.WireLen, m.Link = uint8(dir), uint32(length), uint32(link)
	m.Raw = append(m.room(n), r.buf[r.pos:r.pos+n]...)
	r.pos += n
	return true
}

// upTo reads an unsigned integer up to a limit.
func (r *reader) upTo(limit uint64, to *uint64) (ok bool) {
	*to, ok = r.unsigned()
	return ok && *to <= limit
}

// flow reads a flow id.
func (r *reader) flow(f *FlowID) bool {
	c := r.buf[r.pos]
	if !msgpcode.IsFixedString(c) {
		u, ok := r.unsigned()
		*f = UintID(u)
		return ok
	}
	n := int(c & msgpcode.FixedStrMask)
	if n >= r.end-r.pos {
		return false
	}
	*f = FlowID{n: uint8(n)}
	copy(f.b[:], r.buf[r.pos+1:r.pos+1+n])
	r.pos += 1 + n
	return f.printable()
}
