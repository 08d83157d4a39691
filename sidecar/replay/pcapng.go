package replay

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"serveflow/sidecar/features/packet"
)

// pcapng reads the block format (draft-ietf-opsawg-pcapng): section headers,
// interface descriptions and the three kinds of packet blocks; other blocks are
// skipped.
type pcapng struct {
	order      binary.ByteOrder
	interfaces []netInterface
	last       int64 // time of the packet before: simple packets have none
}

// netInterface is what one interface description says.
type netInterface struct {
	link   packet.Link
	unread error // why its packets are not read
	snap   uint32
	offset int64 // seconds to add to time stamps
	// Time stamps count units of 10^-digits or, if binary, 2^-digits seconds.
	digits uint8
	binary bool
}

// Block types.
const (
	blockInterface = 0x00000001
	blockPacket    = 0x00000002 // obsolete
	blockSimple    = 0x00000003
	blockEnhanced  = 0x00000006
	blockSection   = 0x0a0d0d0a

	byteOrderMagic = 0x1a2b3c4d
)

const (
	maxInterfaces = 1 << 16
	maxOptions    = 64 << 10 // bytes of a header block that are read
)

func (p *pcapng) next(in *input, rec *Record) error {
	for {
		in.begin()
		b, err := in.next(8)
		if err != nil {
			return err
		}
		typ := binary.LittleEndian.Uint32(b) // blockSection reads the same either way
		if typ == blockSection {
			if err := p.section(in, [4]byte(b[4:])); err != nil {
				return err
			}
			continue
		}
		if p.order == nil {
			return fmt.Errorf("a block of type %#x before the section header", typ)
		}
		typ = p.order.Uint32(b)
		length := p.order.Uint32(b[4:])
		if length < 12 || length%4 != 0 {
			return fmt.Errorf("a block of type %#x has the invalid length %d", typ, length)
		}
		found, err := p.block(in, rec, typ, int64(length)-12)
		if err != nil || found {
			return err
		}
	}
}

// block reads the body of a block, of the given length, and what follows it.
// found: it was a packet, now in rec.
func (p *pcapng) block(in *input, rec *Record, typ uint32, length int64) (found bool, err error) {
	switch typ {
	case blockInterface:
		return false, p.describe(in, length)
	case blockEnhanced, blockPacket:
		return true, p.packet(in, rec, typ, length)
	case blockSimple:
		return true, p.simple(in, rec, length)
	}
	in.skip(length + 4)
	return false, nil
}

// section starts a new section, with its own byte order and interfaces.
func (p *pcapng) section(in *input, rawLength [4]byte) error {
	b, err := in.more(16)
	if err != nil {
		return err
	}
	switch {
	case binary.LittleEndian.Uint32(b) == byteOrderMagic:
		p.order = binary.LittleEndian
	case binary.BigEndian.Uint32(b) == byteOrderMagic:
		p.order = binary.BigEndian
	default:
		return fmt.Errorf("the section header has the byte-order mark % x", b[:4])
	}
	if major := p.order.Uint16(b[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d is not supported, only 1", major)
	}
	length := p.order.Uint32(rawLength[:])
	if length < 28 || length%4 != 0 {
		return fmt.Errorf("the section header has the invalid length %d", length)
	}
	p.interfaces = p.interfaces[:0]
	in.skip(int64(length) - 24)
	return nil
}

// describe reads an interface description block.
func (p *pcapng) describe(in *input, length int64) error {
	if length < 8 || length > maxOptions {
		return fmt.Errorf("an interface description of %d bytes", length)
	}
	if len(p.interfaces) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces in one section", maxInterfaces)
	}
	b, err := in.more(int(length) + 4)
	if err != nil {
		return err
	}
	i := netInterface{snap: p.order.Uint32(b[4:]), digits: 6}
	i.link, i.unread = linkOf(uint32(p.order.Uint16(b)))
	if err := i.options(p.order, b[8:length]); err != nil {
		i.unread = err
	}
	p.interfaces = append(p.interfaces, i)
	return nil
}

// Options of an interface description that tell how to read time stamps.
const (
	optionEnd        = 0
	optionResolution = 9
	optionOffset     = 14
)

func (i *netInterface) options(order binary.ByteOrder, b []byte) error {
	for len(b) >= 4 {
		code, n := order.Uint16(b), int(order.Uint16(b[2:]))
		b = b[4:]
		if code == optionEnd {
			return nil
		}
		if n > len(b) {
			return fmt.Errorf("option %d of an interface is longer than its block", code)
		}
		switch {
		case code == optionResolution && n == 1:
			digits, binary := b[0]&0x7f, b[0]&0x80 != 0
			if digits > 63 || !binary && digits > 19 {
				return fmt.Errorf("an interface's timestamp resolution %#x is too fine", b[0])
			}
			i.digits, i.binary = digits, binary
		case code == optionOffset && n == 8:
			i.offset = int64(order.Uint64(b))
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}

// micros turns a time stamp into µs since the epoch.
func (i *netInterface) micros(ts uint64) int64 {
	var us uint64
	switch {
	case i.binary:
		whole, rest := ts>>i.digits, ts&(1<<i.digits-1)
		hi, lo := bits.Mul64(rest, second)
		us = uint64(clampTime(int64(min(whole, maxTime/second))*second)) + (hi<<(64-i.digits) | lo>>i.digits)
	case i.digits > 6:
		us = ts / pow10(i.digits-6)
	default:
		hi, lo := bits.Mul64(ts, pow10(6-i.digits))
		us = lo
		if hi != 0 {
			us = maxTime
		}
	}
	seconds := max(-maxTime/second, min(i.offset, maxTime/second))
	return clampTime(int64(min(us, maxTime)) + seconds*second)
}

func pow10(n uint8) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// packet reads an enhanced packet block or its obsolete forerunner, which
// differ in the width of the interface number.
func (p *pcapng) packet(in *input, rec *Record, typ uint32, length int64) error {
	if length < 20 {
		return fmt.Errorf("a packet block of %d bytes", length)
	}
	b, err := in.more(20)
	if err != nil {
		return err
	}
	number := p.order.Uint32(b)
	if typ == blockPacket {
		number = uint32(p.order.Uint16(b))
	}
	if int64(number) >= int64(len(p.interfaces)) {
		return fmt.Errorf("a packet of interface %d, but only %d interfaces are described", number, len(p.interfaces))
	}
	i := &p.interfaces[number]
	rec.Link, rec.Unread = i.link, i.unread
	rec.Time = i.micros(uint64(p.order.Uint32(b[4:]))<<32 | uint64(p.order.Uint32(b[8:])))
	p.last = rec.Time
	captured, wire := p.order.Uint32(b[12:]), p.order.Uint32(b[16:])
	return p.body(in, rec, captured, wire, length-20)
}

// simple reads a simple packet block, which has no time stamp and belongs to the
// first interface; it gets the time of the previous packet.
func (p *pcapng) simple(in *input, rec *Record, length int64) error {
	if length < 4 {
		return fmt.Errorf("a simple packet block of %d bytes", length)
	}
	if len(p.interfaces) == 0 {
		return fmt.Errorf("a packet before any interface is described")
	}
	b, err := in.more(4)
	if err != nil {
		return err
	}
	i := &p.interfaces[0]
	rec.Link, rec.Unread, rec.Time = i.link, i.unread, p.last
	wire := p.order.Uint32(b)
	captured := wire
	if i.snap != 0 {
		captured = min(captured, i.snap)
	}
	return p.body(in, rec, captured, wire, length-4)
}

// body reads the frame and skips the rest of the block.
func (p *pcapng) body(in *input, rec *Record, captured, wire uint32, length int64) error {
	if int64(captured) > length {
		return fmt.Errorf("a packet of %d bytes in a block of %d", captured, length)
	}
	if err := frame(in, rec, captured, wire); err != nil {
		return err
	}
	in.skip(length - int64(captured) + 4)
	return nil
}
