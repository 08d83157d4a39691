package packet

import (
	"bytes"
	"testing"
)

func TestSetFrame(t *testing.T) {
	frame := unhex(t, ethHead+"86dd"+ip6("0018", "00")+"3a 00 0502 0000 0100"+"8f 00 0000 0000 0000 01020304 05060708")
	var h Headers
	if err := Parse(&h, Ethernet, frame); err != nil {
		t.Fatal(err)
	}
	p := Packet{Header: [MaxHeader]byte{119: 9}}
	p.SetFrame(&h, frame, 1234567, Responder)
	if p.Time != 1234567 || p.Dir != Responder || p.Length != 64 || p.Payload != 8 ||
		p.Proto != ICMPv6 || p.Version != 6 || p.SrcPort != 143 {
		t.Errorf("packet %+v", p)
	}
	// The extension header is not kept.
	kept := append(bytes.Clone(frame[14:54]), frame[62:70]...)
	if got := p.Header[:p.NetLen+p.TransLen]; !bytes.Equal(got, kept) {
		t.Errorf("kept %x, want %x", got, kept)
	}
	if p.Header[119] != 0 {
		t.Error("bytes of the packet before are left")
	}
}

func TestSetMeta(t *testing.T) {
	p := Packet{NetLen: 20, Version: 4, Header: [MaxHeader]byte{1}}
	p.SetMeta(Tuple{SrcPort: 1, DstPort: 2, Proto: UDP, Version: 4}, 7, Originator, 100)
	if want := (Packet{Time: 7, Length: Missing, Payload: 100, SrcPort: 1, DstPort: 2, Proto: UDP}); p != want {
		t.Errorf("packet %+v, want %+v", p, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range parseCases {
		f.Add(uint32(c.link), unhex(f, c.frame))
	}
	f.Fuzz(func(t *testing.T, link uint32, frame []byte) {
		parseSafely(t, Link(link), frame)
	})
}

// parseSafely checks what Parse promises of any frame.
func parseSafely(t *testing.T, link Link, frame []byte) {
	t.Helper()
	var h Headers
	if Parse(&h, link, frame) != nil {
		return
	}
	switch {
	case h.NetOff < 0 || h.NetLen < 20 || h.NetLen > 60 || h.NetOff+h.NetLen > h.TransOff:
		t.Fatalf("network header at %d, length %d, transport at %d", h.NetOff, h.NetLen, h.TransOff)
	case h.TransLen < 0 || h.TransLen > 60 || h.TransOff+h.TransLen > len(frame):
		t.Fatalf("transport header at %d, length %d, frame of %d", h.TransOff, h.TransLen, len(frame))
	case h.Length != Missing && int(h.Length) < h.NetLen+h.TransLen:
		t.Fatalf("length %d, headers %d and %d", h.Length, h.NetLen, h.TransLen)
	case h.Payload < Missing || h.Length != Missing && h.Payload > h.Length:
		t.Fatalf("payload %d, length %d", h.Payload, h.Length)
	case h.Fragment && (h.First || h.TransLen != 0 || h.Payload != Missing):
		t.Fatalf("later fragment with a transport header: %+v", h)
	case h.TCPFlags > 0x1ff || h.Window < Missing || h.Window > 65535:
		t.Fatalf("flags %x, window %d", h.TCPFlags, h.Window)
	}
	ChecksumsOK(&h, frame)
	h.FillLength(len(frame))
	var p Packet
	p.SetFrame(&h, frame, 0, Originator)
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name  string
		link  Link
		frame string
	}{
		{"raw IPv4 TCP", RawIP, ip4Syn},
		{"Ethernet VLAN IPv6 UDP", Ethernet, ethHead + "8100 0064 86dd" + ip6Udp},
		{"MPLS in VLAN", Ethernet, ethHead + "8100 0064 8847 00010040 00012140" + ip4Syn},
		{"look", Look, ethHead + "0800" + ip4Syn},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame := unhex(b, c.frame)
			var h Headers
			var p Packet
			b.ReportAllocs()
			for b.Loop() {
				if err := Parse(&h, c.link, frame); err != nil {
					b.Fatal(err)
				}
				p.SetFrame(&h, frame, 0, Originator)
			}
		})
	}
}

func BenchmarkChecksumsOK(b *testing.B) {
	frame := unhex(b, ip4Syn)
	var h Headers
	if err := Parse(&h, RawIP, frame); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ChecksumsOK(&h, frame) {
			b.Fatal("wrong checksum")
		}
	}
}
