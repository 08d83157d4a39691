package main

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"serveflow/test/frames"
)

// The ends of most conversations, from the blocks for documentation (RFC 5737,
// RFC 3849).
const (
	client, server   = "192.0.2.10", "192.0.2.20"
	client6, server6 = "2001:db8::10", "2001:db8::20"
)

// onEthernet puts a packet into a frame, whose MACs tell the direction.
func onEthernet(packet []byte) []byte {
	e := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	last := packet[19]
	if packet[0]>>4 == 6 {
		e.EthernetType = layers.EthernetTypeIPv6
		last = packet[39]
	}
	if last == 10 || last == 0x10 { // to the client
		e.SrcMAC, e.DstMAC = e.DstMAC, e.SrcMAC
	}
	return frames.Build(e, gopacket.Payload(packet))
}

// tcp is a segment as an IP packet. flags: letters of SAFRP.
func tcp(src, dst string, sport, dport uint16, flags string, seq, ack uint32, payload string) []byte {
	n := frames.IP(src, dst, layers.IPProtocolTCP)
	s := frames.TCP(n, sport, dport, flags, seq, ack, 64240)
	if s.SYN {
		s.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}},
			{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
			{OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
		}
	}
	return frames.Build(n, s, gopacket.Payload(payload))
}

func udp(src, dst string, sport, dport uint16, payload string) []byte {
	n := frames.IP(src, dst, layers.IPProtocolUDP)
	return frames.Build(n, frames.UDP(n, sport, dport), gopacket.Payload(payload))
}

// script collects frames, each a hundredth of a second after the one before.
type script struct {
	frames []timed
	now    int // ms
}

// add takes an IP packet.
func (s *script) add(packet []byte) { s.raw(onEthernet(packet)) }

// raw takes an Ethernet frame.
func (s *script) raw(frame []byte) {
	s.frames = append(s.frames, timed{at: ms(s.now), frame: frame})
	s.now += 10
}

// tcpEnds adds segments between a client's port and port 80 of the server,
// each given as "c" or "s" for the sender, flags, and payload.
type tcpEnds struct {
	*script
	port     uint16
	seq, ack uint32 // next of the client, next of the server
}

func (s *script) tcp(port uint16, isn uint32) *tcpEnds {
	return &tcpEnds{script: s, port: port, seq: isn, ack: isn + 5000}
}

func (e *tcpEnds) client(flags, payload string) {
	e.add(tcp(client, server, e.port, 80, flags, e.seq, e.ack, payload))
	e.seq += length(flags, payload)
}

func (e *tcpEnds) server(flags, payload string) {
	e.add(tcp(server, client, 80, e.port, flags, e.ack, e.seq, payload))
	e.ack += length(flags, payload)
}

// length is what a segment takes of the sequence numbers.
func length(flags, payload string) uint32 {
	n := uint32(len(payload))
	for _, f := range flags {
		if f == 'S' || f == 'F' {
			n++
		}
	}
	return n
}
