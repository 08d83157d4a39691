package replay

import (
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// flow is the state of an open flow.
type flow struct {
	id    uint64
	key   flowKey
	tuple packet.Tuple // originator first
	// reverse: the originator's packets go from the key's Dst to its Src.
	reverse bool
	pkts    [2]uint64 // by direction
	bytes   [2]uint64
	tcp     tcpState
	last    int64 // time of its newest packet, µs since the epoch

	// The list in which it waits to end, and until when.
	list       *waiting
	prev, next *flow
	due        int64
	place      int // in the list's heap
}

// tcpState determines when a TCP flow ends and when the next one between the same
// ports begins.
type tcpState struct {
	isn    uint32  // sequence number that a retransmission of the originator's SYN has
	opened bool    // the responder was heard, or the flow began in mid-stream
	shook  uint8   // steps of the handshake that were seen
	fin    [2]bool // by direction
	alone  bool    // one end sent a FIN when the other had not been heard
	rst    bool    // from an end that had not sent a FIN before, or to Suricata from any
	broken bool    // an end sent a FIN and then a RST
	finned int64   // time of the first FIN, µs since the epoch
}

const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

const handshaken = 3

var handshake = [handshaken]struct {
	dir   packet.Dir
	flags uint16
}{{packet.Originator, flagSYN}, {packet.Responder, flagSYN | flagACK}, {packet.Originator, flagACK}}

// begin sets what the flow's first packet determines.
func (fl *flow) begin(id uint64, key flowKey, reverse bool, l *layer) {
	h := &l.headers
	*fl = flow{id: id, key: key, tuple: h.Tuple, reverse: reverse}
	if h.Tuple.Proto != packet.TCP {
		return
	}
	tcp := l.frame[h.TransOff:]
	fl.tcp.isn = binary.BigEndian.Uint32(tcp[4:])
	fl.tcp.opened = h.TCPFlags&flagSYN == 0
	if h.TCPFlags&(flagSYN|flagACK) == flagSYN|flagACK {
		// The answer to a SYN that was missed, or that is still to come
		// because the capture has the two in the wrong order.
		fl.reverse = !reverse
		fl.tuple = h.Tuple.Reverse()
		fl.tcp.isn = binary.BigEndian.Uint32(tcp[8:]) - 1
	}
}

// count counts a packet and returns its direction.
func (fl *flow) count(reverse bool, l *layer, r Rules) packet.Dir {
	dir := packet.Responder
	if reverse == fl.reverse {
		dir = packet.Originator
	}
	fl.pkts[dir]++
	fl.bytes[dir] += uint64(l.wireLen)
	if h := &l.headers; h.Tuple.Proto == packet.TCP {
		t := &fl.tcp
		t.opened = t.opened || dir == packet.Responder
		if h.TCPFlags&flagRST != 0 && r.resets(fl, dir, l.frame[h.TransOff:]) {
			t.rst = t.rst || !t.fin[dir]
			t.broken = t.broken || t.fin[dir]
		}
		if h.TCPFlags&flagFIN != 0 {
			if !t.fin[0] && !t.fin[1] {
				t.finned = fl.last
			}
			t.fin[dir] = true
			t.alone = t.alone || fl.pkts[1-dir] == 0
		}
		t.shake(dir, h.TCPFlags)
	}
	return dir
}

// shake records a step of the handshake.
func (t *tcpState) shake(dir packet.Dir, flags uint16) {
	if t.shook < handshaken && dir == handshake[t.shook].dir && flags&(flagSYN|flagACK) == handshake[t.shook].flags {
		t.shook++
	}
}

// reusedBy reports whether a packet between the flow's endpoints begins a new flow.
func (fl *flow) reusedBy(l *layer, r Rules) bool {
	h := &l.headers
	if h.Tuple.Proto != packet.TCP || h.TCPFlags&(flagSYN|flagACK) != flagSYN {
		return false
	}
	return r.reused(fl, binary.BigEndian.Uint32(l.frame[h.TransOff+4:]) == fl.tcp.isn)
}
