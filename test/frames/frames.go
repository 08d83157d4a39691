// Package frames builds packets for tests, with right lengths and checksums.
package frames

import (
	"encoding/binary"
	"net/netip"

	"serveflow/sidecar/features/packet"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Build puts layers together. It panics if they cannot be: they are the test's own.
func Build(ls ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// A Network is an IP layer, which TCP and UDP compute their checksum with.
type Network interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

// IP is an IPv4 or IPv6 header, by its addresses.
func IP(src, dst string, proto layers.IPProtocol) Network {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if s.Is4() {
		return &layers.IPv4{Version: 4, TTL: 64, Id: 1, Protocol: proto, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}
}

// TCP is a header whose flags are letters of SAFRP.
func TCP(n Network, sport, dport uint16, flags string, seq, ack uint32, window uint16) *layers.TCP {
	s := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, Ack: ack, Window: window}
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
	if err := s.SetNetworkLayerForChecksum(n); err != nil {
		panic(err)
	}
	return s
}

// UDP is a header.
func UDP(n Network, sport, dport uint16) *layers.UDP {
	u := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	if err := u.SetNetworkLayerForChecksum(n); err != nil {
		panic(err)
	}
	return u
}

// Headers are those of an IPv4 packet with UDP, from 10.x to 192.0.2.1, without its
// payload of 12 bytes. They are cheap to make.
func Headers(host uint32, port uint16) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9], b[12] = 0x45, 40, 64, packet.UDP, 10
	b[13], b[14], b[15] = byte(host>>16), byte(host>>8), byte(host)
	b[16], b[18], b[19] = 192, 2, 1
	binary.BigEndian.PutUint16(b[20:], 40000)
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], 20)
	return b
}
