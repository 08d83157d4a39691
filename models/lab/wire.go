package main

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	etherHeader = 14
	maxFrame    = etherHeader + 65535
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	header6     = 40 // bytes, without extensions
	// What a router holds back at most before it drops.
	maxQueue = 250 * time.Millisecond
)

// wire carries frames one way: after a delay with jitter, in their order, at a
// rate, and with losses. It does what the kernel's netem does, which not every
// kernel has.
type wire struct {
	path drawnPath
	rng  *rand.Rand
	free time.Time // when the frame before has gone out at the rate
	last time.Time // when the frame before arrives

	// Ports that the wire changes, as a gateway does: of clients that know only
	// one port of servers. 0 for none.
	was, becomes atomic.Uint32
	source       bool // the source port, not the destination's

	late [65]atomic.Uint64 // frames by how many bits their lateness in µs has
}

type frame struct {
	data []byte
	due  time.Time
}

// due returns when a frame of so many bytes that came at now arrives, false if
// it is lost.
func (w *wire) due(now time.Time, bytes int) (time.Time, bool) {
	if w.rng.Float64() < w.path.Loss {
		return time.Time{}, false
	}
	if w.free.Before(now) {
		w.free = now
	}
	if w.free.Sub(now) > maxQueue {
		return time.Time{}, false
	}
	w.free = w.free.Add(time.Duration(float64(bytes) / float64(w.path.Rate) * float64(time.Second)))
	jitter := w.rng.NormFloat64()
	if jitter > 0 {
		jitter *= 0.5 + w.rng.ExpFloat64() // long waits are likelier than a normal distribution has them
	}
	jitter = max(jitter*float64(w.path.Jitter), -float64(w.path.Delay)/2)
	return w.after(w.free.Add(w.path.Delay + time.Duration(jitter))), true
}

// after is a time, or that of the frame before if it is later.
func (w *wire) after(t time.Time) time.Time {
	if t.After(w.last) {
		w.last = t
	}
	return w.last
}

// carry copies frames from one device to the other until it fails. It keeps a
// thread to itself, of real-time priority, so that a busy machine makes the
// programs slow and not the wire.
func (w *wire) carry(from, to int) error {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	// Where it is not allowed, lateness tells.
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	var queue []frame
	buffer := make([]byte, maxFrame)
	poll := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}}
	for {
		for len(queue) > 0 && !queue[0].due.After(time.Now()) {
			unix.Write(to, queue[0].data) // an end that is down loses frames, as on a real wire
			w.delivered(time.Since(queue[0].due))
			queue = queue[1:]
		}
		var timeout *unix.Timespec
		if len(queue) > 0 {
			t := unix.NsecToTimespec(max(0, time.Until(queue[0].due).Nanoseconds()))
			timeout = &t
		}
		if _, err := unix.Ppoll(poll, timeout, nil); err != nil && err != unix.EINTR {
			return err
		}
		n, err := unix.Read(from, buffer)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err != nil:
			return err
		}
		data := append([]byte(nil), buffer[:n]...)
		now := time.Now()
		if !isIP(data) {
			queue = append(queue, frame{data, w.after(now)}) // ARP and the like
			continue
		}
		if due, ok := w.due(now, n); ok {
			w.route(data[etherHeader:])
			queue = append(queue, frame{data, due})
		}
	}
}

// isIP tells whether a frame is one of IP and not of what finds its addresses.
func isIP(data []byte) bool {
	if len(data) < etherHeader+20 {
		return false
	}
	switch binary.BigEndian.Uint16(data[12:]) {
	case etherIPv4:
		return true
	case etherIPv6: // 133 and up: neighbour discovery
		return len(data) > etherHeader+header6 && !(data[etherHeader+6] == unix.IPPROTO_ICMPV6 && data[etherHeader+header6] >= 133)
	}
	return false
}

// delivered counts a frame by how late it was: busy machines are late.
func (w *wire) delivered(late time.Duration) {
	w.late[bits.Len64(uint64(max(0, late.Microseconds())))].Add(1)
}

// lateness is a bound, to a factor of two, that 95 % of frames keep.
func lateness(wires ...*wire) time.Duration {
	var count [len(wires[0].late)]uint64
	var all uint64
	for _, w := range wires {
		for i := range w.late {
			n := w.late[i].Load()
			count[i], all = count[i]+n, all+n
		}
	}
	var below uint64
	for i, n := range count {
		if below += n; below*100 >= all*95 {
			return time.Duration(1) << i * time.Microsecond
		}
	}
	return 0
}

// route changes an IP header as routers do.
func (w *wire) route(ip []byte) {
	if ip[0]>>4 == 6 {
		ip[7] = max(ip[7], byte(w.path.Hops)+1) - byte(w.path.Hops)
		if w.path.BleachDSCP {
			ip[0], ip[1] = 0x60, ip[1]&0x3f
		}
		w.translate(ip[6], ip[header6:])
		return
	}
	header := int(ip[0]&0x0f) * 4
	if header < 20 || header > len(ip) {
		return
	}
	ip[8] = max(ip[8], byte(w.path.Hops)+1) - byte(w.path.Hops)
	if w.path.BleachDSCP {
		ip[1] &= 0x03
	}
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:header]))
	w.translate(ip[9], ip[header:])
}

// translate changes a port of a TCP or UDP segment.
func (w *wire) translate(protocol byte, segment []byte) {
	at := map[byte]int{unix.IPPROTO_TCP: 16, unix.IPPROTO_UDP: 6}[protocol] // the checksum
	was, becomes := w.was.Load(), w.becomes.Load()
	if was == 0 || at == 0 || len(segment) < at+2 {
		return
	}
	port := segment[2:4]
	if w.source {
		port = segment[0:2]
	}
	if binary.BigEndian.Uint16(port) != uint16(was) {
		return
	}
	binary.BigEndian.PutUint16(port, uint16(becomes))
	check := segment[at : at+2]
	if old := binary.BigEndian.Uint16(check); old != 0 { // RFC 1624; 0 stands for none in UDP
		s := uint32(^old) + uint32(^uint16(was)) + becomes
		s = s>>16 + s&0xffff
		s = s>>16 + s&0xffff
		binary.BigEndian.PutUint16(check, ^uint16(s))
	}
}

// sum is the ones' complement sum of RFC 1071.
func sum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
