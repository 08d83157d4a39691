package feature

import (
	"math"
	"strings"
	"testing"

	"serveflow/sidecar/features/packet"
)

func TestValueOf(t *testing.T) {
	for column, want := range map[string]string{
		"p3_ipv4_ttl_0":     "p3_ipv4_ttl",
		"p1_tcp_wsize_15":   "p1_tcp_wsize",
		"p2_tcp_syn_0":      "p2_tcp_syn",
		"p1_ipv6_fl_19":     "p1_ipv6_fl",
		"p1_tcp_opt_7":      "", // 320 bits
		"p1_tcp_seq_0":      "", // 32
		"p2_payload":        "p2_payload",
		"first3_orig_bytes": "first3_orig_bytes",
		"proto":             "proto",
		"p1_ipv4_ttl":       "",
		"nonsense":          "",
	} {
		if got := ValueOf(column); got != want {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	names := []string{"p1_ipv4_ttl", "p1_payload", "p2_payload", "proto", "p1_udp_len", "p1_tcp_wsize", "p2_dir", "first2_resp_pkts"}
	v, err := NewValues(names, MaskAll)
	if err != nil {
		t.Fatal(err)
	}
	if v.Packets() != 2 || !v.NeedsHeaders() {
		t.Errorf("packets %d, headers %v", v.Packets(), v.NeedsHeaders())
	}
	raw := make([]byte, 28)
	raw[0], raw[8], raw[9] = 0x45, 64, packet.UDP
	raw[3], raw[25] = 29, 9
	var h packet.Headers
	if err := packet.Parse(&h, packet.RawIP, append(raw, 'x')); err != nil {
		t.Fatal(err)
	}
	flow := make([]packet.Packet, 2)
	flow[0].SetFrame(&h, raw, 0, packet.Originator)
	flow[1].SetMeta(packet.Tuple{Proto: packet.UDP}, 1, packet.Responder, 1)
	missing := float32(math.NaN())
	got := make([]float32, len(names))
	// A payload of -1 is a byte from the responder, and no missing one.
	for n, want := range [][]float32{
		{missing, missing, missing, missing, missing, missing, missing, 0},
		{64, 1, missing, 17, 9, missing, missing, 0},
		{64, 1, -1, 17, 9, missing, 1, 1},
	} {
		v.Read(got, flow[:n])
		for i := range want {
			if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
				t.Errorf("%s after %d packets: %v, want %v", names[i], n, got[i], want[i])
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { v.Read(got, flow) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, name := range []string{"p1_tcp_opt", "p1_ipv4_src", "p1_ipv4_ttl_0", "p0_payload", ""} {
		if _, err := NewValues([]string{name}, 0); err == nil || !strings.Contains(err.Error(), "is not a number of a flow") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
