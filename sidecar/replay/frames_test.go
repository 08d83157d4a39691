package replay

import (
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"serveflow/sidecar/features/packet"
	"serveflow/test/frames"
)

func ethernet(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{
		SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: typ,
	}
}

func etherType(n gopacket.NetworkLayer) layers.EthernetType {
	if n.LayerType() == layers.LayerTypeIPv4 {
		return layers.EthernetTypeIPv4
	}
	return layers.EthernetTypeIPv6
}

// Hosts and ports of the tests: a is the originator.
const (
	hostA, hostB = "192.0.2.1", "192.0.2.2"
	portA, portB = 40000, 80
)

// tcpFrom is a TCP segment between hostA:portA and hostB:portB.
func tcpFrom(from, flags string, seq, ack uint32, payload int) []byte {
	src, dst, sport, dport := hostA, hostB, uint16(portA), uint16(portB)
	if from == "b" {
		src, dst, sport, dport = dst, src, dport, sport
	}
	return tcpSegment(src, dst, sport, dport, flags, seq, ack, payload)
}

func tcpSegment(src, dst string, sport, dport uint16, flags string, seq, ack uint32, payload int) []byte {
	n := frames.IP(src, dst, layers.IPProtocolTCP)
	return frames.Build(ethernet(etherType(n)), n, frames.TCP(n, sport, dport, flags, seq, ack, 1000), gopacket.Payload(make([]byte, payload)))
}

func udp(src, dst string, sport, dport uint16, payload []byte) []byte {
	n := frames.IP(src, dst, layers.IPProtocolUDP)
	return frames.Build(ethernet(etherType(n)), n, frames.UDP(n, sport, dport), gopacket.Payload(payload))
}

func icmp(src, dst string, typ, code uint8) []byte {
	return frames.Build(ethernet(layers.EthernetTypeIPv4),
		frames.IP(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: 7, Seq: 1}, gopacket.Payload("ping"))
}

// list is a capture in memory.
type list struct {
	recs []Record
	at   int
	err  error // after the last record; nil: io.EOF
}

func (l *list) Next(rec *Record) error {
	if l.at == len(l.recs) {
		if l.err != nil {
			return l.err
		}
		return io.EOF
	}
	*rec = l.recs[l.at]
	l.at++
	return nil
}

// add appends an Ethernet frame that came at the given second.
func (l *list) add(at float64, frame []byte) {
	l.recs = append(l.recs, Record{
		Time: int64(at * second), Link: packet.Ethernet, Frame: frame, WireLen: len(frame),
	})
}
