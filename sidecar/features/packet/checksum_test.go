package packet

import "testing"

func TestChecksumsOK(t *testing.T) {
	cases := []struct {
		name, frame string
		want        bool
	}{
		{"TCP", ip4Syn, true},
		{"ICMP", ip4Ping, true},
		{"UDP over IPv6", ip6Udp, true},
		// RFC 1071 asks that a byte of zero be added to an odd length.
		{"odd length", "45 00 001d 0000 0000 40 11 66ce 0a000001 0a000002 0035 9c40 0009 0e64 41", true},
		{"wrong IPv4 header", "45 00 0038 1234 4000 40 06 5c85 0a000001 c0000207 " + tcpSyn, false},
		{"wrong TCP", ip4Syn[:len(ip4Syn)-1] + "0", false},
		{"wrong ICMP", ip4Ping[:len(ip4Ping)-1] + "3", false},
		{"wrong UDP", ip6Udp[:len(ip6Udp)-1] + "5", false},
		{"cut", ip4Ping[:len(ip4Ping)-2], true},
		{"UDP without a checksum", "45 00 001d 0000 0000 40 11 66ce 0a000001 0a000002 0035 9c40 0009 0000 41", true},
		{"first fragment", "45 00 001d 0000 2000 40 11 46ce 0a000001 0a000002 0035 9c40 0009 ffff 41", true},
		{"routing header", ip6("0020", "2b") + "11 02 00 01 00000000 fd000000000000000000000000000003" + "0035 9c40 0008 1234", true},
		{"routing header, all visited", ip6("0020", "2b") + "11 02 00 00 00000000 fd000000000000000000000000000003" + "0035 9c40 0008 1234", false},
		{"GRE is not looked into", "45 00 001c 0000 0000 40 2f 66b1 0a000001 0a000002 0000 0800 45000000", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			frame := unhex(t, c.frame)
			var h Headers
			if err := Parse(&h, RawIP, frame); err != nil {
				t.Fatal(err)
			}
			if got := ChecksumsOK(&h, frame); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
