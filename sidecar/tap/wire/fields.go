package wire

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"unicode/utf8"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

const (
	whyNoPackets = "orig_pkts and resp_pkts include this packet and cannot both be 0"
	whyVersion   = "this end speaks version 1"
	whyText      = "not UTF-8 without control characters"
	whyScore     = "not a finite number"
)

// Each method below reads one field, and does nothing once d.err is set, so
// that a message is a plain list of them. They look at the msgpack code before
// they let the msgpack package read: it takes nil for 0 and wraps what is
// negative or too big.

func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *Decoder) malformed(field, why string) {
	d.fail(&MalformedError{Offset: d.in.offset(), Field: field, Why: why})
}

// code returns the msgpack code of the next element, which remains to be read.
func (d *Decoder) code(field string) (byte, bool) {
	if d.err != nil {
		return 0, false
	}
	if d.left == 0 {
		d.malformed(field, "missing")
		return 0, false
	}
	c, err := d.in.peek()
	if err != nil {
		d.fail(err)
		return 0, false
	}
	return c, true
}

// take is code for a caller that reads the element.
func (d *Decoder) take(field string) (byte, bool) {
	c, ok := d.code(field)
	if ok {
		d.left--
	}
	return c, ok
}

// missing reads a nil, if that is what comes next.
func (d *Decoder) missing(field string) bool {
	c, ok := d.code(field)
	if !ok {
		return true
	}
	if c != msgpcode.Nil {
		return false
	}
	d.in.pos++
	d.left--
	return true
}

func isUnsigned(c byte) bool {
	return c <= msgpcode.PosFixedNumHigh || c >= msgpcode.Uint8 && c <= msgpcode.Uint64
}

func isSigned(c byte) bool {
	return c >= msgpcode.NegFixedNumLow || c >= msgpcode.Int8 && c <= msgpcode.Int64
}

func isFloat(c byte) bool { return c == msgpcode.Float || c == msgpcode.Double }

func isStr(c byte) bool {
	return msgpcode.IsFixedString(c) || c >= msgpcode.Str8 && c <= msgpcode.Str32
}

func isBin(c byte) bool { return c >= msgpcode.Bin8 && c <= msgpcode.Bin32 }

// uint reads an integer of any width, from 0 to limit.
func (d *Decoder) uint(field string, limit uint64) uint64 {
	c, ok := d.take(field)
	if !ok {
		return 0
	}
	at := d.in.offset()
	u, ok := d.in.unsigned()
	var err error
	switch {
	case ok:
	case isUnsigned(c):
		u, err = d.mp.DecodeUint64()
	case isSigned(c):
		var i int64
		if i, err = d.mp.DecodeInt64(); err == nil && i < 0 {
			d.fail(&MalformedError{Offset: at, Field: field, Why: "negative"})
			return 0
		}
		u = uint64(i)
	default:
		d.malformed(field, notA("an integer", c))
		return 0
	}
	if err != nil {
		d.fail(err)
		return 0
	}
	if u > limit {
		d.fail(&MalformedError{Offset: at, Field: field, Why: fmt.Sprintf("%d is over %d", u, limit)})
		return 0
	}
	return u
}

// int63 reads a time.
func (d *Decoder) int63(field string) int64 { return int64(d.uint(field, math.MaxInt64)) }

// int reads an integer of either sign.
func (d *Decoder) int(field string) int64 {
	c, ok := d.code(field)
	if !ok {
		return 0
	}
	if !isSigned(c) {
		return int64(d.uint(field, math.MaxInt64))
	}
	d.left--
	i, err := d.mp.DecodeInt64()
	if err != nil {
		d.fail(err)
	}
	return i
}

// count reads a byte count or its absence.
func (d *Decoder) count(field string) uint64 {
	if d.missing(field) {
		return NoCount
	}
	return d.uint(field, math.MaxInt64)
}

func (d *Decoder) port(field string) uint16 {
	if d.missing(field) {
		return 0
	}
	return uint16(d.uint(field, math.MaxUint16))
}

func (d *Decoder) bool(field string) bool {
	c, ok := d.take(field)
	if !ok {
		return false
	}
	if c != msgpcode.True && c != msgpcode.False {
		d.malformed(field, notA("a boolean", c))
		return false
	}
	d.in.pos++
	return c == msgpcode.True
}

// score reads a number of any msgpack type: some encoders write 1.0 as 1.
func (d *Decoder) score(field string) float32 {
	c, ok := d.take(field)
	if !ok {
		return 0
	}
	at := d.in.offset()
	var f float64
	var err error
	switch {
	case isFloat(c):
		f, err = d.mp.DecodeFloat64()
	case isUnsigned(c): // DecodeFloat64 would hide a reader's error here
		var u uint64
		u, err = d.mp.DecodeUint64()
		f = float64(u)
	case isSigned(c):
		var i int64
		i, err = d.mp.DecodeInt64()
		f = float64(i)
	default:
		d.malformed(field, notA("a number", c))
		return 0
	}
	if err != nil {
		d.fail(err)
		return 0
	}
	s := float32(f)
	if !finite(s) {
		d.fail(&MalformedError{Offset: at, Field: field, Why: whyScore})
		return 0
	}
	return s
}

func finite(f float32) bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

// length reads the length of a text or binary value whose code was checked.
func (d *Decoder) length(field string, limit int) (int, bool) {
	at := d.in.offset()
	n, ok := d.in.length()
	if !ok {
		var err error
		if n, err = d.mp.DecodeBytesLen(); err != nil {
			d.fail(err)
			return 0, false
		}
	}
	// On 32-bit machines a length over 2 GiB comes out negative.
	if n < 0 || n > limit {
		d.fail(&MalformedError{Offset: at, Field: field, Why: fmt.Sprintf("%d bytes, over %d", uint32(n), limit)})
		return 0, false
	}
	return n, true
}

// read reads n bytes into the decoder's scratch memory.
func (d *Decoder) read(n int) []byte {
	b := d.scratch[:n]
	if err := d.in.readFull(b); err != nil {
		d.fail(err)
		return nil
	}
	return b
}

// text reads a text of up to MaxText bytes, valid until the next read.
func (d *Decoder) text(field string) []byte {
	c, ok := d.take(field)
	if !ok {
		return nil
	}
	if !isStr(c) {
		d.malformed(field, notA("a string", c))
		return nil
	}
	at := d.in.offset()
	n, ok := d.length(field, MaxText)
	if !ok {
		return nil
	}
	b := d.read(n)
	if d.err == nil && !printable(b) {
		d.fail(&MalformedError{Offset: at, Field: field, Why: whyText})
		return nil
	}
	return b
}

// IsText reports whether a text may be part of a message, apart from its length:
// UTF-8 without control characters. Labels of bundles follow the same rule.
func IsText(s string) bool { return printable(s) }

// printable reports whether b is UTF-8 without control characters (C0, DEL, C1), which
// terminals and line-based logs would interpret.
func printable[T []byte | string](b T) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(b[i:min(i+utf8.UTFMax, len(b))]))
		if r == utf8.RuneError && size == 1 || r <= 0x9f {
			return false
		}
		i += size
	}
	return true
}

// share reads a text into *s, and keeps the string that is there if it is the
// same: labels repeat.
func (d *Decoder) share(s *string, field string) {
	if b := d.text(field); d.err == nil && string(b) != *s {
		*s = string(b)
	}
}

// word reads one of two words and says whether it was the second.
func (d *Decoder) word(field, no, yes string) bool {
	b := d.text(field)
	if d.err == nil && string(b) != no && string(b) != yes {
		d.malformed(field, fmt.Sprintf("%q is neither %q nor %q", b, no, yes))
	}
	return string(b) == yes
}

// bytes reads a binary value into m's memory. Text is taken too: encoders that
// know no binary type write one as the other.
func (d *Decoder) bytes(field string, limit int, m *Message) []byte {
	c, ok := d.take(field)
	if !ok {
		return nil
	}
	if !isBin(c) && !isStr(c) {
		d.malformed(field, notA("binary", c))
		return nil
	}
	n, ok := d.length(field, limit)
	if !ok {
		return nil
	}
	b := m.room(n)[:n]
	if err := d.in.readFull(b); err != nil {
		d.fail(err)
		return nil
	}
	return b
}

// room is m's memory for n bytes of raw or payload, empty.
func (m *Message) room(n int) []byte {
	if cap(m.buf) < n || m.buf == nil {
		m.buf = make([]byte, max(n, 256))
	}
	return m.buf[:0]
}

func (d *Decoder) flow() FlowID {
	c, ok := d.code("flow")
	if !ok {
		return FlowID{}
	}
	if isBin(c) {
		d.malformed("flow", "a flow id is an integer or text: write it as str, not as bin")
		return FlowID{}
	}
	if !isStr(c) {
		return UintID(d.uint("flow", math.MaxUint64))
	}
	d.left--
	at := d.in.offset()
	n, ok := d.length("flow", MaxFlowID)
	if !ok {
		return FlowID{}
	}
	f := FlowID{n: uint8(n)}
	if err := d.in.readFull(f.b[:n]); err != nil {
		d.fail(err)
		return FlowID{}
	}
	if !f.printable() {
		d.fail(&MalformedError{Offset: at, Field: "flow", Why: ErrFlowID.Error()})
		return FlowID{}
	}
	return f
}

// addr reads an address: as text, as 4 or 16 raw bytes, or nil. IPv4 in IPv6's
// clothes (::ffff:1.2.3.4) is IPv4: some engines keep all addresses so.
func (d *Decoder) addr(field string) netip.Addr {
	if d.missing(field) {
		return netip.Addr{}
	}
	c, ok := d.take(field)
	if !ok {
		return netip.Addr{}
	}
	if !isStr(c) && !isBin(c) {
		d.malformed(field, notA("an address", c))
		return netip.Addr{}
	}
	at := d.in.offset()
	n, ok := d.length(field, MaxAddrText)
	if !ok {
		return netip.Addr{}
	}
	b := d.read(n)
	if d.err != nil {
		return netip.Addr{}
	}
	a, ok := parseAddr(b, isBin(c))
	if !ok {
		d.fail(&MalformedError{Offset: at, Field: field, Why: "not an IP address"})
	}
	return a.Unmap()
}

// MaxAddrText is the longest text of an IPv6 address.
const MaxAddrText = 45

func parseAddr(b []byte, raw bool) (netip.Addr, bool) {
	if raw {
		return netip.AddrFromSlice(b)
	}
	if bytes.IndexByte(b, '%') >= 0 { // a zone means nothing to others
		return netip.Addr{}, false
	}
	// Without a zone nothing of the text remains in the address, so that its
	// bytes may be lent instead of copied to the heap.
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(b), len(b)))
	return a, err == nil
}

// notA says what was found where something else is due.
func notA(want string, c byte) string {
	return fmt.Sprintf("not %s: msgpack code 0x%02x", want, c)
}
