package feature

import (
	"encoding/binary"

	"serveflow/sidecar/features/packet"
)

// maxSize bounds sizes: the largest packet without segmentation offload.
const maxSize = 65535

func (p *Plan) encodeFlow(dst []float32, first *packet.Packet) {
	for _, c := range p.flow {
		switch c.index {
		case flowProto:
			if first.Proto != 0 {
				dst[c.at] = float32(first.Proto)
			}
		case flowRespPort:
			if port := responderPort(first); port != 0 && (port < ephemeralFrom || p.masks&MaskEphemeralPorts == 0) {
				dst[c.at] = float32(port)
			}
		case flowICMPType:
			if first.Proto == packet.ICMP || first.Proto == packet.ICMPv6 {
				dst[c.at] = float32(first.SrcPort)
			}
		}
	}
}

// responderPort is the responder's port, 0 if it is missing or not known.
func responderPort(pk *packet.Packet) uint16 {
	switch pk.Proto {
	case packet.TCP, packet.UDP, packet.SCTP:
	default:
		return 0
	}
	switch pk.Dir {
	case packet.Originator:
		return pk.DstPort
	case packet.Responder:
		return pk.SrcPort
	}
	return 0
}

// encodeSeq writes the values of packet k of a flow, counted from 0.
func encodeSeq(dst []float32, cells []cell, flow []packet.Packet, k int) {
	pk := &flow[k]
	for _, c := range cells {
		switch c.index {
		case seqDir:
			if pk.Dir <= packet.Responder {
				dst[c.at] = float32(pk.Dir)
			}
		case seqPayload:
			size := float32(min(pk.Payload, maxSize))
			switch {
			case pk.Payload < 0:
			case pk.Dir == packet.Originator:
				dst[c.at] = size
			case pk.Dir == packet.Responder:
				dst[c.at] = 0 - size // not -0
			}
		case seqLen:
			if pk.Length >= 0 {
				dst[c.at] = float32(min(pk.Length, maxSize))
			}
		case seqGap:
			dst[c.at] = logSpan(flow[max(k-1, 0)].Time, pk.Time)
		case seqFlags:
			if b := header(pk, tcp); len(b) >= 14 {
				dst[c.at] = float32(binary.BigEndian.Uint16(b[12:]) & 0x1ff)
			}
		case seqWindow:
			if b := header(pk, tcp); len(b) >= 16 {
				dst[c.at] = float32(binary.BigEndian.Uint16(b[14:]))
			}
		}
	}
}

// totals are running counts of packets and bytes by direction.
type totals struct {
	started     bool
	first, last int64 // µs
	packets     [2]int32
	bytes       [2]int32 // Missing once one is
}

func (t *totals) add(pk *packet.Packet) {
	if !t.started {
		t.started, t.first = true, pk.Time
	}
	t.last = pk.Time
	if pk.Dir > packet.Responder {
		return
	}
	t.packets[pk.Dir]++
	switch bytes := &t.bytes[pk.Dir]; {
	case pk.Payload < 0:
		*bytes = Missing
	case *bytes != Missing:
		*bytes += min(pk.Payload, maxSize)
	}
}

func (t *totals) encode(dst []float32, cells []cell) {
	for _, c := range cells {
		switch c.index {
		case firstOrigPkts:
			dst[c.at] = float32(t.packets[packet.Originator])
		case firstRespPkts:
			dst[c.at] = float32(t.packets[packet.Responder])
		case firstOrigBytes:
			dst[c.at] = float32(t.bytes[packet.Originator])
		case firstRespBytes:
			dst[c.at] = float32(t.bytes[packet.Responder])
		case firstDuration:
			dst[c.at] = logSpan(t.first, t.last)
		}
	}
}
