package replay

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"serveflow/sidecar/features/packet"
	"serveflow/test/frames"
)

// tunnelled puts content, which gopacket need not understand, after an IP
// header between two tunnel ends.
func tunnelled(t testing.TB, proto uint8, content []byte) []byte {
	return frames.Build(ethernet(layers.EthernetTypeIPv4),
		frames.IP("198.51.100.1", "198.51.100.2", layers.IPProtocol(proto)).(gopacket.SerializableLayer), gopacket.Payload(content))
}

func greHeader(flags, typ uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, flags)
	return binary.BigEndian.AppendUint16(b, typ)
}

func TestTunnels(t *testing.T) {
	inner := udp(hostA, hostB, 5000, 53, []byte("a question of some length"))
	inner6 := udp("2001:db8::1", "2001:db8::2", 5000, 53, []byte("a question of some length"))
	teredo6 := udp("2001:db8::1", "2001:0:4137:9e50::2", 5000, 53, []byte("a question of some length"))
	arp := frames.Build(ethernet(layers.EthernetTypeARP), gopacket.Payload(make([]byte, 46)))
	vxlan := func(frame []byte) []byte {
		return udp("198.51.100.1", "198.51.100.2", 50000, vxlanPort, append([]byte{8, 0, 0, 0, 0, 0, 42, 0}, frame...))
	}
	over := func(port uint16, content []byte) []byte {
		return udp("198.51.100.1", "198.51.100.2", 50000, port, content)
	}
	gre := func(header []byte, content []byte) []byte {
		return tunnelled(t, protoGRE, append(header, content...))
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  string // version, protocol and destination port of the innermost flow
		bytes uint64
	}{
		{"none", inner, "4 17 53", 67},
		{"VXLAN", vxlan(inner), "4 17 53", 67},
		{"IP in IP", tunnelled(t, protoIPv4, inner[14:]), "4 17 53", 53},
		{"6in4", tunnelled(t, protoIPv6, inner6[14:]), "6 17 53", 73},
		{"GRE", gre(greHeader(0, 0x0800), inner[14:]), "4 17 53", 53},
		{"GRE with checksum, key and sequence", gre(append(greHeader(0xb000, 0x86dd), make([]byte, 12)...), inner6[14:]), "6 17 53", 73},
		{"GRE with Ethernet", gre(greHeader(0, 0x6558), inner), "4 17 53", 67},
		{"VXLAN in GRE", gre(greHeader(0, 0x0800), vxlan(inner)[14:]), "4 17 53", 67},
		{"three levels: the third stays shut", gre(greHeader(0, 0x0800), vxlan(tunnelled(t, protoIPv4, inner[14:]))[14:]), "4 4 0", 87},
		{"GRE with routing", gre(greHeader(0x4000, 0x0800), inner[14:]), "4 47 0", 91},
		{"GRE version 1", gre(append(greHeader(0x3081, 0x880b), make([]byte, 12)...), append([]byte{0xff, 3, 0, 0x21}, inner[14:]...)), "4 17 53", 57},
		{"GRE version 1 of no PPP", gre(greHeader(1, 0x0800), inner[14:]), "4 47 0", 91},
		{"GRE version 2", gre(greHeader(2, 0x0800), inner[14:]), "4 47 0", 91},
		{"GRE of another content", gre(greHeader(0, 0x0806), inner), "4 47 0", 105},
		{"GRE with MPLS", gre(greHeader(0, 0x8847), append([]byte{0, 1, 0x21, 0x40}, inner[14:]...)), "4 17 53", 57},
		{"ERSPAN I", gre(greHeader(0, 0x88be), inner), "4 17 53", 67},
		{"ERSPAN II", gre(append(greHeader(0x1000, 0x88be), make([]byte, 12)...), inner), "4 17 53", 67},
		{"ERSPAN III", gre(append(greHeader(0x1000, 0x22eb), make([]byte, 16)...), inner), "4 17 53", 67},
		{"ERSPAN III of a platform", gre(append(append(greHeader(0x1000, 0x22eb), make([]byte, 15)...), 1, 0, 0, 0, 0, 0, 0, 0, 0), inner), "4 17 53", 67},
		{"GRE over UDP", over(greUDPPort, append(greHeader(0, 0x0800), inner[14:]...)), "4 17 53", 53},
		{"Geneve with options", over(genevePort, append([]byte{1, 0, 0x65, 0x58, 0, 0, 1, 0, 9, 9, 9, 9}, inner...)), "4 17 53", 67},
		{"Geneve of a later version", over(genevePort, append([]byte{0x40, 0, 0x65, 0x58, 0, 0, 1, 0}, inner...)), "4 17 6081", 117},
		{"GTP-U", over(gtpPort, append([]byte{0x30, 255, 0, 53, 0, 0, 0, 1}, inner[14:]...)), "4 17 53", 53},
		{"GTP-U with an extension", over(gtpPort, append([]byte{0x34, 255, 0, 61, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0}, inner6[14:]...)), "6 17 53", 73},
		{"GTP-U with an extension that does not end", over(gtpPort, append([]byte{0x34, 255, 0, 61, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 9}, inner6[14:]...)), "4 17 2152", 131},
		{"GTP-U echo", over(gtpPort, []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0}), "4 17 2152", 60},
		{"Teredo", over(teredoPort, inner6[14:]), "6 17 53", 73},
		{"Teredo with both indications", over(teredoPort, append([]byte{0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6}, inner6[14:]...)), "6 17 53", 73},
		{"Teredo between peers", over(32900, teredo6[14:]), "6 17 53", 73},
		{"IPv6 over UDP that is not Teredo", over(32900, inner6[14:]), "4 17 32900", 115},
		{"VXLAN with ARP", vxlan(arp), "4 17 4789", 110},
		{"VXLAN that is none", udp(hostA, hostB, 5000, vxlanPort, make([]byte, 40)), "4 17 4789", 82},
		{"IP in IP of nothing", tunnelled(t, protoIPv4, nil), "4 4 0", 60},
		{"IP in IP that is cut inside", tunnelled(t, protoIPv4, inner[14:24]), "4 4 0", 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &list{}
			l.add(0, c.frame)
			f := NewFlows(l, Options{})
			var ev, next Event
			for f.Next(&next) == nil && next.Kind == PacketEvent { // of a tunnel over UDP, too
				ev = next
			}
			tuple := ev.Tuple
			if got := join(int(tuple.Version), int(tuple.Proto), int(tuple.DstPort)); got != c.want {
				t.Errorf("the flow is %s, want %s", got, c.want)
			}
			if ev.OrigBytes != c.bytes {
				t.Errorf("%d bytes, want %d", ev.OrigBytes, c.bytes)
			}
			var h packet.Headers
			if err := packet.Parse(&h, packet.RawIP, ev.Frame); err != nil || h.Tuple != tuple {
				t.Errorf("the frame reads as %v, %v", h.Tuple, err)
			}
			if ev.WireLen != len(ev.Frame) || int(ev.Headers.Length) != len(ev.Frame) {
				t.Errorf("frame of %d bytes, %d on the wire, %d by its header", len(ev.Frame), ev.WireLen, ev.Headers.Length)
			}
		})
	}
}

func join(ns ...int) string {
	var b strings.Builder
	for i, n := range ns {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

func TestFragments(t *testing.T) {
	whole := udp(hostA, hostB, 5000, 53, make([]byte, 64))
	fragment := func(offset uint16, more bool, content []byte) []byte {
		n := frames.IP(hostA, hostB, layers.IPProtocolUDP).(*layers.IPv4)
		n.Id, n.FragOffset = 7, offset/8
		if more {
			n.Flags = layers.IPv4MoreFragments
		}
		return frames.Build(ethernet(layers.EthernetTypeIPv4), n, gopacket.Payload(content))
	}
	l := &list{}
	l.add(0, fragment(0, true, whole[34:34+40]))
	l.add(0, fragment(40, false, whole[34+40:]))
	l.add(0, fragment(0, true, slices.Clone(whole[34:34+7]))) // splits the header
	f := NewFlows(l, Options{})
	if got := strings.Join(summary(t, f), " "); got != "1o1/0 1end@0:capture_over" {
		t.Error(got)
	}
	if got := f.Counts().Skipped; got != (Skipped{Fragment: 1, Truncated: 1}) {
		t.Errorf("%+v", got)
	}
}
