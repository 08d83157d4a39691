package replay

import (
	"io"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"serveflow/sidecar/features/packet"
)

// serialize builds a packet with right lengths and checksums.
func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ethernet(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{
		SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: typ,
	}
}

func ip(src, dst string, proto layers.IPProtocol) gopacket.NetworkLayer {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if s.Is4() {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}
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
func tcpFrom(t testing.TB, from, flags string, seq, ack uint32, payload int) []byte {
	src, dst, sport, dport := hostA, hostB, uint16(portA), uint16(portB)
	if from == "b" {
		src, dst, sport, dport = dst, src, dport, sport
	}
	return tcpSegment(t, src, dst, sport, dport, flags, seq, ack, payload)
}

func tcpSegment(t testing.TB, src, dst string, sport, dport uint16, flags string, seq, ack uint32, payload int) []byte {
	n := ip(src, dst, layers.IPProtocolTCP)
	s := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, Ack: ack, Window: 1000}
	for _, f := range flags {
		switch f {
		case 'S':
			s.SYN = true
		case 'A':
			s.ACK = true
		case 'F':
			s.FIN = true
		case 'R':
			s.RST = true
		case 'P':
			s.PSH = true
		}
	}
	_ = s.SetNetworkLayerForChecksum(n)
	return serialize(t, ethernet(etherType(n)), n.(gopacket.SerializableLayer), s, gopacket.Payload(make([]byte, payload)))
}

func udp(t testing.TB, src, dst string, sport, dport uint16, payload []byte) []byte {
	n := ip(src, dst, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	_ = u.SetNetworkLayerForChecksum(n)
	return serialize(t, ethernet(etherType(n)), n.(gopacket.SerializableLayer), u, gopacket.Payload(payload))
}

func icmp(t testing.TB, src, dst string, typ, code uint8) []byte {
	return serialize(t, ethernet(layers.EthernetTypeIPv4),
		ip(src, dst, layers.IPProtocolICMPv4).(gopacket.SerializableLayer),
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
