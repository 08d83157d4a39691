package packet

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// want is what a test case says of the headers that Parse finds.
type want struct {
	src, dst        string
	sport, dport    uint16
	proto           uint8
	netOff, netLen  int
	transOff, trans int
	length, payload int32
	fragment, first bool
	flags           uint16
	window          int32
	err             error
}

func (w want) check(t *testing.T, h *Headers, err error) {
	t.Helper()
	if !errors.Is(err, w.err) {
		t.Fatalf("error %v, want %v", err, w.err)
	}
	if w.err != nil {
		return
	}
	got := want{
		src: h.Tuple.SrcAddr().String(), dst: h.Tuple.DstAddr().String(),
		sport: h.Tuple.SrcPort, dport: h.Tuple.DstPort, proto: h.Tuple.Proto,
		netOff: h.NetOff, netLen: h.NetLen, transOff: h.TransOff, trans: h.TransLen,
		length: h.Length, payload: h.Payload, fragment: h.Fragment, first: h.First,
		flags: h.TCPFlags, window: h.Window,
	}
	if got != w {
		t.Errorf("\n got %+v\nwant %+v", got, w)
	}
}

// at returns w with everything moved by n bytes, as after a link-layer header.
func (w want) at(n int) want {
	w.netOff += n
	w.transOff += n
	return w
}

var (
	synWant = want{src: "10.0.0.1", dst: "192.0.2.7", sport: 40000, dport: 443, proto: TCP,
		netLen: 20, transOff: 20, trans: 36, length: 56, flags: 2, window: 64240}
	udpWant = want{src: "fd00::1", dst: "ff02::fb", sport: 5353, dport: 5353, proto: UDP,
		netLen: 40, transOff: 40, trans: 8, length: 52, payload: 4, window: Missing}
	pingWant = want{src: "10.0.0.1", dst: "10.0.0.2", sport: 8, proto: ICMP,
		netLen: 20, transOff: 20, trans: 8, length: 32, payload: 4, window: Missing}
)

// four and six are packets between 10.0.0.1 and .2, fd00::1 and ::2.
func four(proto uint8, off, trans int, length, payload int32) want {
	return want{src: "10.0.0.1", dst: "10.0.0.2", proto: proto, netLen: 20, transOff: off,
		trans: trans, length: length, payload: payload, window: Missing}
}

func six(proto uint8, off, trans int, length, payload int32) want {
	return want{src: "fd00::1", dst: "fd00::2", proto: proto, netLen: 40, transOff: off,
		trans: trans, length: length, payload: payload, window: Missing}
}

func (w want) ports(src, dst uint16) want { w.sport, w.dport = src, dst; return w }

func (w want) fragments(fragment, first bool) want {
	w.fragment, w.first = fragment, first
	return w
}

var parseCases = []struct {
	name  string
	link  Link
	frame string
	want  want
}{
	{"raw IPv4 TCP SYN", RawIP, ip4Syn, synWant},
	{"raw IPv6 UDP", RawIP, ip6Udp, udpWant},
	{"raw ICMP echo", RawIP, ip4Ping, pingWant},

	{"Ethernet", Ethernet, ethHead + "0800" + ip4Syn, synWant.at(14)},
	{"Ethernet IPv6", Ethernet, ethHead + "86dd" + ip6Udp, udpWant.at(14)},
	{"Ethernet padding is no payload", Ethernet,
		ethHead + "0800" + ip4("001d", "0000", "11") + "0035 9c40 0009 0000 41" + "000000000000000000000000000000000000",
		four(UDP, 20, 8, 29, 1).ports(53, 40000).at(14)},
	{"VLAN", Ethernet, ethHead + "8100 0064 0800" + ip4Syn, synWant.at(18)},
	{"QinQ", Ethernet, ethHead + "88a8 0064 8100 00c8 86dd" + ip6Udp, udpWant.at(22)},
	{"old QinQ", Ethernet, ethHead + "9100 0064 8100 00c8 0800" + ip4Syn, synWant.at(22)},
	{"PPPoE", Ethernet, ethHead + "8864 11 00 0001 003a 0021" + ip4Syn, synWant.at(22)},
	{"PPPoE IPv6 in VLAN", Ethernet, ethHead + "8100 0007 8864 11 00 0001 0036 0057" + ip6Udp, udpWant.at(26)},
	{"MPLS, two labels", Ethernet, ethHead + "8847 00010040 00012140" + ip4Syn, synWant.at(22)},
	{"MPLS in VLAN, IPv6", Ethernet, ethHead + "8100 0064 8848 00012140" + ip6Udp, udpWant.at(22)},
	{"MPLS pseudowire with control word", Ethernet, ethHead + "8847 00012140 00000000" + ethHead + "0800" + ip4Syn, synWant.at(36)},
	{"MPLS pseudowire without", Ethernet, ethHead + "8847 00012140" + "aa" + ethHead[2:] + "0800" + ip4Syn, synWant.at(32)},
	{"MPLS without a bottom", Ethernet, ethHead + "8847" + strings.Repeat("00010040", 12), want{err: ErrMalformed}},
	{"MPLS, cut", Ethernet, ethHead + "8847 00010040", want{err: ErrTruncated}},
	{"LLC and SNAP", Ethernet, ethHead + "0040 aaaa03 000000 0800" + ip4Syn, synWant.at(22)},
	{"LLC of spanning tree", Ethernet, ethHead + "0026 424203 0000000000", want{err: ErrNotIP}},
	{"provider backbone bridge", Ethernet, ethHead + "88e7 40000001" + ethHead + "8100 0064 0800" + ip4Syn, synWant.at(36)},
	{"VN-Tag in front of VLAN", Ethernet, ethHead + "8926 00010002 8100 0064 0800" + ip4Syn, synWant.at(24)},
	{"FabricPath", Ethernet, ethHead + "8903 0001" + ethHead + "0800" + ip4Syn, synWant.at(30)},
	{"NSH", Ethernet, ethHead + "894f 0fc2 01 01 00000001" + ip4Syn, synWant.at(22)},
	{"NSH with Ethernet", Ethernet, ethHead + "894f 0fc2 01 03 00000001" + ethHead + "0800" + ip4Syn, synWant.at(36)},
	{"PPP", PPP, "0021" + ip4Syn, synWant.at(2)},
	{"PPP with address and control", PPP, "ff03 0057" + ip6Udp, udpWant.at(4)},
	{"PPP, compressed protocol", PPP, "21" + ip4Syn, synWant.at(1)},
	{"PPP with MPLS", PPP, "0281 00012140" + ip4Syn, synWant.at(6)},
	{"PPP of LCP", PPP, "c021 01010004", want{err: ErrNotIP}},
	{"PPP in HDLC", PPPSerial, "ff03 0021" + ip4Syn, synWant.at(4)},
	{"Cisco HDLC as PPP in HDLC", PPPSerial, "0f00 0800" + ip4Syn, synWant.at(4)},
	{"Cisco HDLC", CiscoHDLC, "0f00 86dd" + ip6Udp, udpWant.at(4)},
	{"PPPoE without Ethernet", PPPoE, "1100 0001 003a 0021" + ip4Syn, synWant.at(8)},
	{"FDDI", FDDI, "50" + ethHead + "aaaa03 000000 0800" + ip4Syn, synWant.at(21)},
	{"802.11", WiFi, "0801 0000" + macs + "0000 aaaa03 000000 0800" + ip4Syn, synWant.at(32)},
	{"802.11 between access points, QoS", WiFi, "8803 0000" + macs + "0000 0200000000dd 0000 aaaa03 000000 0800" + ip4Syn, synWant.at(40)},
	{"802.11, several in one", WiFi, "8801 0000" + macs + "0000 8000" + ethHead + "0040 aaaa03 000000 86dd" + ip6Udp, udpWant.at(48)},
	{"802.11, encrypted", WiFi, "0841 0000" + macs + "0000 aaaa03 000000 0800" + ip4Syn, want{err: ErrNotIP}},
	{"802.11 beacon", WiFi, "8000 0000" + macs + "0000", want{err: ErrNotIP}},
	{"radiotap", Radiotap, "0000 0a00 00000000 0000 0801 0000" + macs + "0000 aaaa03 000000 0800" + ip4Syn, synWant.at(42)},
	{"radiotap, cut", Radiotap, "0000 ff00 00000000", want{err: ErrTruncated}},
	{"netfilter log", NFLOG, "02 00 0001 0800 0100 0800 0100 0500 0a00 6c 000000 3c00 0900" + ip4Syn, synWant.at(24)},
	{"netfilter log without a packet", NFLOG, "02 00 0001 0000 0100", want{err: ErrMalformed}},
	{"cooked", LinuxSLL, "0000 0001 0006 0200000000aa 0000 0800" + ip4Syn, synWant.at(16)},
	{"cooked VLAN", LinuxSLL, "0000 0001 0006 0200000000aa 0000 8100 0064 0800" + ip4Syn, synWant.at(20)},
	{"cooked 2", LinuxSLL2, "86dd 0000 00000002 0001 00 06 0200000000aa0000" + ip6Udp, udpWant.at(20)},
	{"loopback, network order", Loopback, "00000002" + ip4Syn, synWant.at(4)},
	{"loopback, host order", Loopback, "1e000000" + ip6Udp, udpWant.at(4)},
	{"look: raw IPv4", Look, ip4Syn, synWant},
	{"look: raw IPv6", Look, ip6Udp, udpWant},
	{"look: Ethernet", Look, ethHead + "0800" + ip4Syn, synWant.at(14)},
	{"look: a MAC like an IPv6 header", Look, "600194000041 0200000000bb 0800" + ip4Syn, synWant.at(14)},
	{"look: a MAC like IPv6 before ARP", Look,
		"6001940000ff 0200000000bb 0806 0001 0800 06 04 0001 0200000000bb 0a000001 000000000000 0a000002", want{err: ErrNotIP}},
	{"look: an IPv4 address like an EtherType", Look,
		"45 00 0054 0000 0000 40 11 2d86 0800 4500 0014 0000 0035 0035 0040 0000" + "0000000000000000 00000000",
		want{src: "8.0.69.0", dst: "0.20.0.0", sport: 53, dport: 53, proto: UDP, netLen: 20,
			transOff: 20, trans: 8, length: 84, payload: 56, window: Missing}},

	{"ARP", Ethernet, ethHead + "0806 0001 0800 06 04 0001", want{err: ErrNotIP}},
	{"PPPoE with LCP", Ethernet, ethHead + "8864 11 00 0001 003a c021" + ip4Syn, want{err: ErrNotIP}},
	{"too many tags", Ethernet, ethHead + "8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 0800" + ip4Syn, want{err: ErrMalformed}},
	{"unknown link", 147, ip4Syn, want{err: ErrNotIP}},
	{"no version", RawIP, "05 00", want{err: ErrNotIP}},
	{"empty", RawIP, "", want{err: ErrTruncated}},
	{"empty Ethernet", Ethernet, "", want{err: ErrTruncated}},
	{"cut VLAN tag", Ethernet, ethHead + "8100 0064", want{err: ErrTruncated}},
	{"cut PPPoE", Ethernet, ethHead + "8864 1100 0001", want{err: ErrTruncated}},
	{"cut cooked 2", LinuxSLL2, "86dd 0000", want{err: ErrTruncated}},
	{"Ethernet alone", Ethernet, ethHead + "0800", want{err: ErrTruncated}},
	{"cut IPv4 header", RawIP, "45 00 0038 1234", want{err: ErrTruncated}},
	{"cut IPv4 options", RawIP, "46 00 0038 0000 0000 40 06 0000 0a000001 0a000002 0101", want{err: ErrTruncated}},
	{"cut IPv6 header", RawIP, "60 000000 000c 11 40", want{err: ErrTruncated}},
	{"IPv4 header length 16", RawIP, "44 00 0038 0000 0000 40 06 0000 0a000001 0a000002", want{err: ErrMalformed}},
	{"IPv4 shorter than its header", RawIP, ip4("0013", "0000", "06"), want{err: ErrMalformed}},

	{"IPv4 options", RawIP, "46 00 0020 0000 0000 40 11 0000 0a000001 0a000002 94040000" + "0035 9c40 0008 0000",
		want{src: "10.0.0.1", dst: "10.0.0.2", sport: 53, dport: 40000, proto: UDP, netLen: 24,
			transOff: 24, trans: 8, length: 32, window: Missing}},
	{"first fragment", RawIP, ip4("0024", "2000", "11") + "0035 9c40 0400 0000 0102030405060708",
		four(UDP, 20, 8, 36, 8).ports(53, 40000).fragments(false, true)},
	{"first fragment splits the header", RawIP, ip4("001c", "2000", "06") + "0050 9c40 00000001",
		four(TCP, 20, 8, 28, Missing).ports(80, 40000).fragments(false, true)},
	{"later fragment", RawIP, ip4("001c", "2001", "11") + "0035 9c40 0400 0000",
		four(UDP, 20, 0, 28, Missing).fragments(true, false)},
	{"last fragment", RawIP, ip4("001c", "0001", "11") + "0035 9c40 0400 0000",
		four(UDP, 20, 0, 28, Missing).fragments(true, false)},

	{"TCP cut before its ports", RawIP, ip4("0028", "0000", "06") + "0050", four(TCP, 20, 2, 40, Missing)},
	{"TCP cut after its ports", RawIP, ip4("0028", "0000", "06") + "0050 9c40 00000001",
		four(TCP, 20, 8, 40, Missing).ports(80, 40000)},
	{"TCP cut in its options", RawIP, ip4("0040", "0000", "06") + "0050 9c40 00000001 00000002 b1 ff 0001 0000 0000 0101",
		want{src: "10.0.0.1", dst: "10.0.0.2", sport: 80, dport: 40000, proto: TCP, netLen: 20,
			transOff: 20, trans: 22, length: 64, payload: 0, flags: 0x1ff, window: 1}},
	{"TCP header length 16", RawIP, ip4("0028", "0000", "06") + "0050 9c40 00000001 00000002 40 02 0001 0000 0000", want{err: ErrMalformed}},
	{"TCP header beyond the packet", RawIP, ip4("0028", "0000", "06") + "0050 9c40 00000001 00000002 60 02 0001 0000 0000", want{err: ErrMalformed}},
	{"TCP alone in IPv4 of length 0", RawIP, ip4("0000", "0000", "06") + "0050 9c40 00000001 00000002 50 10 0001 0000 0000 0102",
		want{src: "10.0.0.1", dst: "10.0.0.2", sport: 80, dport: 40000, proto: TCP, netLen: 20,
			transOff: 20, trans: 20, length: Missing, payload: Missing, flags: 0x10, window: 1}},

	{"UDP cut", RawIP, ip4("0020", "0000", "11") + "0035 9c40", four(UDP, 20, 4, 32, 4).ports(53, 40000)},
	{"UDP length 7", RawIP, ip4("001c", "0000", "11") + "0035 9c40 0007 0000", want{err: ErrMalformed}},
	{"UDP without a length", RawIP, ip4("001e", "0000", "11") + "0035 9c40 0000 0000 0102", four(UDP, 20, 8, 30, 2).ports(53, 40000)},
	{"UDP longer than its packet", RawIP, ip4("001e", "0000", "11") + "0035 9c40 0100 0000 0102", four(UDP, 20, 8, 30, 2).ports(53, 40000)},
	{"UDP shorter than its packet", RawIP, ip4("001e", "0000", "11") + "0035 9c40 0009 0000 0102", four(UDP, 20, 8, 30, 1).ports(53, 40000)},
	{"IPv4 too short for UDP", RawIP, ip4("0018", "0000", "11") + "0035 9c40", want{err: ErrMalformed}},
	{"UDP in IPv4 of length 0", RawIP, ip4("0000", "0000", "11") + "0035 9c40 000a 0000 0102", four(UDP, 20, 8, Missing, 2).ports(53, 40000)},
	{"SCTP", RawIP, ip4("0030", "0000", "84") + "0b59 0b5a 00000000 00000000 01000010 00000000 00000000 00000000",
		four(SCTP, 20, 12, 48, 16).ports(2905, 2906)},
	{"GRE", RawIP, ip4("001c", "0000", "2f") + "0000 0800 45000000", four(47, 20, 0, 28, 8)},
	{"ICMPv6 of 4 bytes", RawIP, ip6("0004", "3a") + "8f 00 0000", six(ICMPv6, 40, 4, 44, 0).ports(143, 0)},

	{"hop-by-hop", RawIP, ip6("0018", "00") + "3a 00 0502 0000 0100" + "8f 00 0000 0000 0000 01020304 05060708", six(ICMPv6, 48, 8, 64, 8).ports(143, 0)},
	{"destination options and authentication", RawIP,
		ip6("0020", "3c") + "33 00 0104 00000000" + "11 02 0000 00000001 00000001 00000000" + "0035 9c40 0008 0000",
		six(UDP, 64, 8, 72, 0).ports(53, 40000)},
	{"IPv6 first fragment", RawIP, ip6("0014", "2c") + "11 00 0001 00000007" + "0035 9c40 0400 0000 01020304",
		six(UDP, 48, 8, 60, 4).ports(53, 40000).fragments(false, true)},
	{"IPv6 later fragment", RawIP, ip6("0010", "2c") + "11 00 0008 00000007" + "0035 9c40 0400 0000",
		six(UDP, 48, 0, 56, Missing).fragments(true, false)},
	{"IPv6 atomic fragment", RawIP, ip6("0010", "2c") + "11 00 0000 00000007" + "0035 9c40 0008 0000",
		six(UDP, 48, 8, 56, 0).ports(53, 40000)},
	{"no next header", RawIP, ip6("0000", "3b"), six(59, 40, 0, Missing, Missing)},
	{"cut in an extension header", RawIP, ip6("0100", "00") + "11 03 0000", six(0, 44, 0, 296, Missing)},
	{"cut before an extension header", RawIP, ip6("0100", "00"), six(0, 40, 0, 296, Missing)},
	{"extension header beyond the packet", RawIP, ip6("0008", "00") + "11 03 0000 00000000", want{err: ErrMalformed}},
	{"endless extension headers", RawIP, ip6("0090", "3c") + repeat("3c 00 0104 00000000", 18), want{err: ErrMalformed}},
}

func repeat(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}

func TestParse(t *testing.T) {
	for _, c := range parseCases {
		t.Run(c.name, func(t *testing.T) {
			var h Headers
			err := Parse(&h, c.link, unhex(t, c.frame))
			c.want.check(t, &h, err)
		})
	}
}

// Every cut of every frame must parse or fail, and never claim bytes that are
// not there.
func TestParseCut(t *testing.T) {
	for _, c := range parseCases {
		frame := unhex(t, c.frame)
		for n := range frame {
			parseSafely(t, c.link, frame[:n:n])
		}
	}
}

func TestFillLength(t *testing.T) {
	frame := unhex(t, ethHead+"0800"+ip4("0000", "0000", "06")+"0050 9c40 00000001 00000002 50 10 0001 0000 0000")
	var h Headers
	if err := Parse(&h, Ethernet, frame); err != nil {
		t.Fatal(err)
	}
	h.FillLength(33)
	if h.Length != Missing {
		t.Errorf("a length shorter than the IP header gave %d", h.Length)
	}
	h.FillLength(14 + 40 + 100000)
	if h.Length != 100040 || h.Payload != 100000 {
		t.Errorf("length %d payload %d, want 100040 and 100000", h.Length, h.Payload)
	}
	h.FillLength(60)
	if h.Length != 100040 {
		t.Errorf("a known length was overwritten with %d", h.Length)
	}
}

func TestLinkOf(t *testing.T) {
	for linktype, want := range map[uint32]Link{0: Loopback, 1: Ethernet, 12: RawIP, 14: RawIP,
		101: RawIP, 108: Loopback, 113: LinuxSLL, 228: RawIP, 229: RawIP, 276: LinuxSLL2,
		9: PPP, 10: FDDI, 50: PPPSerial, 51: PPPoE, 104: CiscoHDLC, 105: WiFi, 127: Radiotap, 239: NFLOG} {
		if got, ok := LinkOf(linktype); !ok || got != want {
			t.Errorf("LinkOf(%d) = %d, %v; want %d", linktype, got, ok, want)
		}
	}
	for _, linktype := range []uint32{147, 1<<16 | 0x0800} { // of a user, and none of captures
		if _, ok := LinkOf(linktype); ok {
			t.Errorf("LinkOf(%d) claims to read it", linktype)
		}
	}
}

func TestTupleReverse(t *testing.T) {
	var h Headers
	if err := Parse(&h, RawIP, unhex(t, ip4Syn)); err != nil {
		t.Fatal(err)
	}
	r := h.Tuple.Reverse()
	if r.SrcPort != 443 || r.DstPort != 40000 || r.SrcAddr() != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("reverse of %+v is %+v", h.Tuple, r)
	}
	if r.Reverse() != h.Tuple {
		t.Error("reversing twice changes a tuple")
	}
	ping := Tuple{Proto: ICMP, SrcPort: 8, Version: 4}
	if got := ping.Reverse().SrcPort; got != 8 {
		t.Errorf("type of a reversed ICMP tuple is %d", got)
	}
	if (Tuple{}).SrcAddr().IsValid() {
		t.Error("a tuple without addresses has a source")
	}
}

// TestVLAN: tags are kept, the outermost first, as far as there is room.
func TestVLAN(t *testing.T) {
	for frame, want := range map[string][3]uint16{
		ethHead + "0800" + ip4Syn:                                                          {},
		ethHead + "8100 2064 0800" + ip4Syn:                                                {100},
		ethHead + "88a8 0064 8100 0fff 0800" + ip4Syn:                                      {100, 4095},
		ethHead + "8100 0001 8100 0002 8100 0003 8100 0004 0800" + ip4Syn:                  {1, 2, 3},
		ethHead + "8100 0007 8847 00012140 00000000" + ethHead + "8100 0008 0800" + ip4Syn: {7, 8},
	} {
		var h Headers
		if err := Parse(&h, Ethernet, unhex(t, frame)); err != nil || h.VLAN != want {
			t.Errorf("%s: %v, %v, want %v", frame, h.VLAN, err, want)
		}
	}
}
