package main

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"serveflow/test/frames"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// conversation is a whole TCP connection and a lookup.
func conversation() []timed {
	s := &script{}
	s.add(udp(client, server, 5353, 53, strings.Repeat("q", 30)))
	s.add(udp(server, client, 53, 5353, strings.Repeat("a", 90)))
	e := s.tcp(40000, 1000)
	e.client("S", "")
	e.server("SA", "")
	e.client("A", "")
	e.client("PA", "GET / HTTP/1.0\r\n\r\n")
	e.server("A", "")
	e.server("PA", "HTTP/1.0 200 OK\r\n\r\n"+strings.Repeat("x", 400))
	e.server("FA", "")
	e.client("FA", "")
	e.server("A", "")
	return s.frames
}

// fragments: a datagram in three over IPv4, one in two over IPv6, one whose
// fragments come in reverse order, and a first fragment that ends inside the
// TCP header.
func fragments() []timed {
	s := &script{}
	four := func(id uint16, offset int, more bool, content []byte) []byte {
		n := frames.IP(client, server, layers.IPProtocolUDP).(*layers.IPv4)
		n.Id, n.FragOffset = id, uint16(offset/8)
		if more {
			n.Flags = layers.IPv4MoreFragments
		}
		return frames.Build(n, gopacket.Payload(content))
	}
	whole := udp(client, server, 5001, 7, strings.Repeat("f", 1200))[20:]
	s.add(four(1, 0, true, whole[:400]))
	s.add(four(1, 400, true, whole[400:800]))
	s.add(four(1, 800, false, whole[800:]))
	s.add(udp(server, client, 7, 5001, "whole"))

	six := func(offset int, more bool, content []byte) []byte {
		n := frames.IP(client6, server6, layers.IPProtocolIPv6Fragment)
		field := uint16(offset)
		if more {
			field |= 1
		}
		header := binary.BigEndian.AppendUint16([]byte{17, 0}, field)
		header = binary.BigEndian.AppendUint32(header, 77)
		return frames.Build(n, gopacket.Payload(append(header, content...)))
	}
	whole = udp(client6, server6, 5002, 7, strings.Repeat("g", 600))[40:]
	s.add(six(0, true, whole[:400]))
	s.add(six(400, false, whole[400:]))

	whole = udp(client, server, 5003, 7, strings.Repeat("h", 600))[20:]
	s.add(four(3, 400, false, whole[400:]))
	s.add(four(3, 0, true, whole[:400]))

	tiny := four(4, 0, true, tcp(client, server, 5004, 80, "S", 1, 0, "")[20:28])
	tiny[9] = byte(layers.IPProtocolTCP)
	s.add(fixIPv4(tiny))
	return s.frames
}

// fixIPv4 recomputes the header checksum.
func fixIPv4(p []byte) []byte {
	p[10], p[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < int(p[0]&15)*4; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
	return p
}

// midstream: a connection whose beginning is missing, one of which only the
// SYN is missing, one whose SYN and SYN-ACK are in the wrong order, and a FIN
// without anything.
func midstream() []timed {
	s := &script{}
	e := s.tcp(40001, 1000)
	e.server("PA", "the middle")
	e.client("A", "")
	e.server("FA", "")
	e.client("FA", "")
	e.server("A", "")
	e = s.tcp(40002, 2000)
	e.seq++
	e.server("SA", "")
	e.client("A", "")
	e.client("PA", "data")
	e = s.tcp(40003, 3000)
	e.client("S", "")
	e.server("SA", "")
	e.client("A", "")
	last := s.frames[len(s.frames)-3:]
	last[0].frame, last[1].frame = last[1].frame, last[0].frame
	s.tcp(40004, 4000).client("FA", "")
	return s.frames
}

// reused: the same ports again after a close, after a reset, without either,
// and after six seconds of a closed connection.
func reused() []timed {
	s := &script{}
	open := func(isn uint32) *tcpEnds {
		e := s.tcp(40000, isn)
		e.client("S", "")
		e.server("SA", "")
		e.client("A", "")
		e.client("PA", "hello")
		return e
	}
	e := open(1000)
	e.client("FA", "")
	e.server("FA", "")
	e.client("A", "")
	s.now += 1000
	e = open(100000)
	e.server("RA", "")
	s.now += 100
	open(200000)
	s.now += 1000
	e = open(300000)
	e.server("FA", "")
	e.client("FA", "")
	s.now += 6000
	e.server("A", "") // too late for the closed flow
	e = open(400000)
	e.client("R", "")
	return s.frames
}

// disorder: retransmissions of every kind and segments out of order.
func disorder() []timed {
	s := &script{}
	e := s.tcp(40000, 1000)
	again := func(n int) { s.raw(s.frames[len(s.frames)-n].frame) }
	e.client("S", "")
	s.now += 1000
	again(1) // SYN
	e.server("SA", "")
	again(1) // SYN-ACK
	e.client("A", "")
	e.client("PA", "first")
	again(1) // data
	for _, part := range []string{"one", "two", "three"} {
		e.server("PA", part)
	}
	last := s.frames[len(s.frames)-3:]
	last[0].frame, last[2].frame = last[2].frame, last[0].frame // three, two, one
	e.client("A", "")
	again(1) // duplicate acknowledgement
	e.client("FA", "")
	again(1) // FIN
	e.server("FA", "")
	e.client("A", "")
	again(2) // FIN of a closed flow
	again(2) // and its acknowledgement
	return s.frames
}

// timeouts: silence of more and less than a flow bears, and SYNs that nobody
// answers.
func timeouts() []timed {
	s := &script{}
	lookup := func() { s.add(udp(client, server, 5000, 53, "lookup")) }
	lookup()
	s.now += 59_000
	lookup()
	s.now += 61_000
	lookup()
	e := s.tcp(40000, 1000)
	e.client("S", "")
	e.server("SA", "")
	e.client("A", "")
	s.now += 299_000
	e.client("PA", "still here")
	s.now += 301_000
	e.client("PA", "and now?")
	e = s.tcp(40001, 2000)
	for _, pause := range []int{1000, 2000, 4000, 8000} {
		e.client("S", "")
		e.seq--
		s.now += pause - 10
	}
	return s.frames
}

// headers: options, extension headers and tags.
func headers() []timed {
	s := &script{}
	n := frames.IP(client, server, layers.IPProtocolUDP).(*layers.IPv4)
	n.Options = []layers.IPv4Option{
		{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}},              // router alert
		{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 198, 51, 100, 99}}, // record route
	}
	s.add(frames.Build(n, frames.UDP(n, 6001, 9), gopacket.Payload("options")))

	plain := udp(client6, server6, 6002, 9, "extension headers")
	extended := func(headers ...byte) []byte { // the last next-header field is UDP's
		p := slices.Concat(plain[:40], headers, plain[40:])
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		return p
	}
	hop := []byte{60, 0, 5, 2, 0, 0, 1, 0}       // router alert, then options for the destination
	dest := []byte{43, 0, 1, 4, 0, 0, 0, 0}      // padding, then routing
	routing := []byte{17, 0, 253, 0, 0, 0, 0, 0} // an experimental type, no segments left
	p := extended(slices.Concat(hop, dest, routing)...)
	p[6] = 0
	s.add(p)

	tagged := func(frame []byte, tags ...byte) []byte { return slices.Concat(frame[:12], tags, frame[12:]) }
	frame := onEthernet(udp(client, server, 6003, 9, "one tag"))
	s.raw(tagged(frame, 0x81, 0, 0, 42))
	frame = onEthernet(udp(client, server, 6004, 9, "two tags"))
	s.raw(tagged(frame, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 42))
	frame = onEthernet(tcp(client, server, 6005, 80, "S", 1, 0, ""))
	s.raw(tagged(frame, 0x81, 0, 0, 43))
	return s.frames
}

// tunnels: the same lookup in tunnels of every kind, and what cannot be opened.
func tunnels() []timed {
	s := &script{}
	near, far := "198.51.100.10", "198.51.100.20"
	wrap := func(proto layers.IPProtocol, header []byte, inner []byte) []byte {
		return frames.Build(frames.IP(near, far, proto), gopacket.Payload(slices.Concat(header, inner)))
	}
	gre := func(flags, typ uint16, optional ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, flags)
		return append(binary.BigEndian.AppendUint16(b, typ), optional...)
	}
	vxlan := func(frame []byte) []byte {
		return udp(near, far, 50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00"+string(frame))
	}
	four := func(port uint16) []byte { return udp(client, server, port, 53, "in a tunnel") }
	six := func(port uint16) []byte { return udp(client6, server6, port, 53, "in a tunnel") }
	s.add(wrap(layers.IPProtocolIPv4, nil, four(7001)))
	s.add(wrap(layers.IPProtocolIPv6, nil, six(7002)))
	s.add(wrap(layers.IPProtocolGRE, gre(0, 0x0800), four(7003)))
	s.add(wrap(layers.IPProtocolGRE, gre(0x2000, 0x86dd, 0, 0, 0, 5), six(7004)))
	s.add(wrap(layers.IPProtocolGRE, gre(0, 0x6558), onEthernet(four(7005))))
	s.add(vxlan(onEthernet(six(7006))))
	s.add(wrap(layers.IPProtocolGRE, gre(0, 0x0800), vxlan(onEthernet(four(7007)))))
	s.add(wrap(layers.IPProtocolGRE, gre(1, 0x880b, 0, 4, 0, 1), []byte("PPTP"))) // stays a flow of GRE
	s.add(wrap(layers.IPProtocolGRE, gre(0, 0x0800), vxlan(onEthernet(wrap(layers.IPProtocolIPv4, nil, four(7008))))))
	return s.frames
}

// checksums: wrong ones in every header that has one, a UDP checksum of 0, and
// a connection whose client leaves its checksums to the frames.Network card.
func checksums() []timed {
	s := &script{}
	bad := func(packet []byte, at int) []byte {
		packet[at] ^= 0x55
		return packet
	}
	s.add(bad(udp(client, server, 8001, 9, "IPv4"), 10))
	s.add(bad(udp(client, server, 8002, 9, "UDP"), 26))
	s.add(bad(udp(client6, server6, 8003, 9, "UDP over IPv6"), 46))
	none := udp(client, server, 8004, 9, "none")
	none[26], none[27] = 0, 0
	s.add(none)
	echo := frames.Build(frames.IP(client, server, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: 0x0800, Id: 1, Seq: 1}, gopacket.Payload("ping"))
	s.add(bad(echo, 22))
	e := s.tcp(40000, 1000)
	e.client("S", "")
	e.server("SA", "")
	e.client("A", "")
	e.client("PA", "question")
	e.server("PA", "answer")
	for i := range s.frames {
		if f := s.frames[i].frame; f[23] == 6 && f[5] == 2 { // TCP to the server
			f[14+20+16] ^= 0x55
		}
	}
	return s.frames
}

// empty: packets without any payload.
func empty() []timed {
	s := &script{}
	s.add(udp(client, server, 9001, 9, ""))
	s.add(udp(server, client, 9, 9001, ""))
	s.add(udp(client6, server6, 9002, 9, ""))
	s.add(frames.Build(frames.IP(client, server, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: 0x0800, Id: 1, Seq: 1}))
	s.add(frames.Build(frames.IP(client, server, layers.IPProtocolIGMP)))
	e := s.tcp(40000, 1000)
	e.client("S", "")
	e.server("SA", "")
	e.client("A", "")
	e.seq--
	e.client("A", "") // keep-alive
	e.seq++
	e.server("A", "")
	return s.frames
}
