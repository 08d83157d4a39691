package packet

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Frames of the tests, written by hand. Spaces and line breaks are for the eye.
const (
	ethHead = "0200000000aa 0200000000bb "
	macs    = "0200000000aa 0200000000bb 0200000000cc " // the three addresses of 802.11
	// 10.0.0.1:40000 > 192.0.2.7:443, SYN, window 64240, MSS and timestamps.
	ip4Syn = "45 00 0038 1234 4000 40 06 5c84 0a000001 c0000207 " + tcpSyn
	tcpSyn = "9c40 01bb 00000001 00000000 90 02 faf0 fa18 0000 02 04 05b4 08 0a 0000 0001 0000 0000 01 01"
	// fd00::1:5353 > ff02::fb:5353, 4 bytes of payload.
	ip6Udp = "60 012345 000c 11 ff fd000000000000000000000000000001 ff0200000000000000000000000000fb " + udp4
	udp4   = "14e9 14e9 000c d4fe 01020304"
	// 10.0.0.1 > 10.0.0.2, echo request, 4 bytes of payload.
	ip4Ping = "45 00 0020 0000 0000 40 01 66db 0a000001 0a000002 " + ping
	ping    = "08 00 b3b9 4242 0001 00010202"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatalf("frame %q: %v", s, err)
	}
	return b
}

// ip6 writes an IPv6 header from fd00::1 to fd00::2: payload length and next
// header in hex.
func ip6(length, next string) string {
	return "60 000000 " + length + next + " 40" +
		"fd000000000000000000000000000001 fd000000000000000000000000000002"
}

// ip4 writes an IPv4 header from 10.0.0.1 to 10.0.0.2: total length, fragment
// field and protocol in hex, checksum 0.
func ip4(length, fragment, proto string) string {
	return "45 00" + length + "0000" + fragment + "40" + proto + "0000 0a000001 0a000002"
}
