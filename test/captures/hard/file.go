package main

import (
	"encoding/binary"
	"time"
)

// timed is a frame and when it came.
type timed struct {
	at    time.Duration // after the capture began
	frame []byte
}

// began is when every capture began.
var began = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// options of a pcap file.
type options struct {
	snap      int // frames are cut to this length; 0: not
	nanos     bool
	bigEndian bool
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcap is the classic format (draft-ietf-opsawg-pcap), of Ethernet frames.
func pcap(frames []timed, o options) []byte {
	var order byteOrder = binary.LittleEndian
	if o.bigEndian {
		order = binary.BigEndian
	}
	magic, unit, snap := uint32(0xa1b2c3d4), time.Microsecond, 262144
	if o.nanos {
		magic, unit = 0xa1b23c4d, time.Nanosecond
	}
	if o.snap != 0 {
		snap = o.snap
	}
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	for _, v := range []int{0, 0, snap, 1} {
		b = order.AppendUint32(b, uint32(v))
	}
	for i, f := range frames {
		at := began.Add(f.at)
		if o.nanos {
			at = at.Add(time.Duration(i)) // so that the last digits count
		}
		captured := min(len(f.frame), snap)
		for _, v := range []int{int(at.Unix()), at.Nanosecond() / int(unit), captured, len(f.frame)} {
			b = order.AppendUint32(b, uint32(v))
		}
		b = append(b, f.frame[:captured]...)
	}
	return b
}

// pcapng is the block format (draft-ietf-opsawg-pcapng). What the client sends
// is captured by an Ethernet interface in nanoseconds, what comes back by one
// of raw IP in milliseconds; the second half stands in a second section of the
// other byte order.
func pcapng(frames []timed) []byte {
	half := len(frames) / 2
	return append(section(binary.LittleEndian, frames[:half]), section(binary.BigEndian, frames[half:])...)
}

func section(order byteOrder, frames []timed) []byte {
	block := func(typ uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		size := uint32(12 + len(body))
		b := order.AppendUint32(order.AppendUint32(nil, typ), size)
		return order.AppendUint32(append(b, body...), size)
	}
	option := func(b []byte, code uint16, value ...byte) []byte {
		b = order.AppendUint16(order.AppendUint16(b, code), uint16(len(value)))
		b = append(b, value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		return b
	}
	describe := func(link uint16, digits byte, name string) []byte {
		b := order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, link), 0), 262144)
		b = option(b, 2, []byte(name)...)
		b = option(b, 9, digits)
		return block(1, option(b, 0))
	}
	header := order.AppendUint16(order.AppendUint16(order.AppendUint32(nil, 0x1a2b3c4d), 1), 0)
	b := block(0x0a0d0d0a, order.AppendUint64(header, 0xffffffffffffffff))
	b = append(b, describe(1, 9, "client")...)
	b = append(b, describe(101, 3, "server")...)
	for _, f := range frames {
		at, frame, number := uint64(began.Add(f.at).UnixNano()), f.frame, uint32(0)
		if frame[5] != 2 { // not to the server's MAC
			at, frame, number = at/1e6, frame[14:], 1
		}
		body := order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, number), uint32(at>>32)), uint32(at))
		body = order.AppendUint32(order.AppendUint32(body, uint32(len(frame))), uint32(len(frame)))
		for body = append(body, frame...); len(body)%4 != 0; {
			body = append(body, 0)
		}
		b = append(b, block(6, option(body, 1, []byte("a comment")...))...)
	}
	return append(b, block(0x40000bad, []byte("a block that nobody knows"))...)
}
