package feature

import (
	"slices"
	"strings"
	"testing"
)

func TestSectionSizes(t *testing.T) {
	// Sizes of nPrint's headers in bits.
	want := map[string]int{"ipv4": 480, "tcp": 480, "udp": 64, "ipv6": 320, "icmp": 64}
	for name, n := range want {
		columns := Spec{Packets: 1, Sections: []string{name}}.Columns()
		if len(columns) != n {
			t.Errorf("%s has %d columns, want %d", name, len(columns), n)
		}
	}
}

func TestSpecColumns(t *testing.T) {
	seq := Spec{Packets: 2, Sections: []string{"seq"}}
	want := strings.Fields(`proto resp_port icmp_type
		p1_dir p1_payload p1_len p1_gap p1_flags p1_window
		first1_orig_pkts first1_resp_pkts first1_orig_bytes first1_resp_bytes first1_duration
		p2_dir p2_payload p2_len p2_gap p2_flags p2_window
		first2_orig_pkts first2_resp_pkts first2_orig_bytes first2_resp_bytes first2_duration`)
	if got := seq.Columns(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}

	seq.NoHeaders = true
	want = slices.DeleteFunc(want, func(name string) bool {
		return strings.HasSuffix(name, "_len") || strings.HasSuffix(name, "_flags") || strings.HasSuffix(name, "_window")
	})
	if got := seq.Columns(); !slices.Equal(got, want) {
		t.Errorf("without headers: got %v", got)
	}

	all := Spec{Packets: 3, Sections: []string{"seq", "udp", "ipv4", "tcp", "icmp", "ipv6"}}
	two := all
	two.Packets = 2
	if got := all.Columns(); !slices.Equal(got[:len(two.Columns())], two.Columns()) {
		t.Error("the columns of 2 packets are not the beginning of those of 3")
	}
	if got := all.Columns(); got[3] != "p1_ipv4_ver_0" {
		t.Errorf("headers do not begin with p1_ipv4_ver_0 but with %s", got[2])
	}

	all.Masks = MaskAll
	for _, name := range all.Columns() {
		for _, hidden := range []string{"_src_", "_dst_", "_cksum_", "_id_", "_fl_", "tcp_seq_", "tcp_ackn_"} {
			if strings.Contains(name, hidden) {
				t.Errorf("%s is masked and listed", name)
			}
		}
	}
}

// Every name of the catalogue is found again, and no two are the same.
func TestLookup(t *testing.T) {
	spec := Spec{Packets: 12, Sections: sectionNames[:]}
	seen := map[column]string{}
	for _, name := range spec.Columns() {
		c, ok := lookup(name)
		if !ok {
			t.Fatalf("%s is not found", name)
		}
		if other, twice := seen[c]; twice {
			t.Fatalf("%s and %s are the same", name, other)
		}
		seen[c] = name
	}
}

func TestIsBit(t *testing.T) {
	for name, want := range map[string]bool{
		"p1_ipv4_ttl_0": true, "p10_icmp_roh_31": true, "p1_len": false, "proto": false, "first2_duration": false, "label": false,
	} {
		if IsBit(name) != want {
			t.Errorf("IsBit(%q) is %v", name, !want)
		}
	}
}

func TestCompileUnknown(t *testing.T) {
	for _, name := range []string{
		"", "p", "p1", "p1_", "p1_ipv4", "p1_ipv4_ttl", "p1_ipv4_ttl_8", "p1_ipv4_ttl_00", "p0_gap", "p01_gap", "p+1_gap",
		"p256_gap", "p99999999999999999999_gap", "P1_gap", "p1_gap ", "first_orig_pkts", "first0_orig_pkts", "first3_gap",
		"p1_proto", "port", "first3", "p-1_gap",
	} {
		_, err := Compile([]string{"proto", name}, 0)
		if err == nil {
			t.Errorf("column %q was accepted", name)
		} else if !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("column %q: error %q does not name it", name, err)
		}
	}
}

func TestPlanNeeds(t *testing.T) {
	for _, c := range []struct {
		columns string
		packets int
		headers bool
	}{
		{"", 0, false},
		{"proto resp_port", 1, false},
		{"p3_dir p2_payload p7_gap", 7, false},
		{"first5_orig_bytes first2_duration", 5, false},
		{"p1_len", 1, true},
		{"p2_flags", 2, true},
		{"p2_window", 2, true},
		{"p10_ipv4_ttl_0", 10, true},
		{"p4_ipv4_src_0", 4, true}, // masked, but the model still looks at packets
	} {
		p, err := Compile(strings.Fields(c.columns), MaskAll)
		if err != nil {
			t.Fatal(err)
		}
		if p.Packets() != c.packets || p.NeedsHeaders() != c.headers || p.Width() != len(strings.Fields(c.columns)) {
			t.Errorf("%q: %d packets, headers %v, width %d", c.columns, p.Packets(), p.NeedsHeaders(), p.Width())
		}
	}
	meta := Spec{Packets: 10, Sections: []string{"seq"}, NoHeaders: true}
	if p, err := Compile(meta.Columns(), MaskAll); err != nil || p.NeedsHeaders() {
		t.Error("the catalogue without headers needs headers", err)
	}
}

func TestSpecValidate(t *testing.T) {
	seq := []string{"seq"}
	for _, c := range []struct {
		spec Spec
		want string // part of the error, empty when valid
	}{
		{Spec{Packets: 10, Sections: sectionNames[:]}, ""},
		{Spec{Packets: 1, Sections: seq, NoHeaders: true}, ""},
		{Spec{Packets: 0, Sections: seq}, "0 packets"},
		{Spec{Packets: 256, Sections: seq}, "256 packets"},
		{Spec{Packets: 1}, "no sections"},
		{Spec{Packets: 1, Sections: []string{"ip"}}, `"ip"`},
		{Spec{Packets: 1, Sections: []string{"ipv4"}, NoHeaders: true}, "seq"},
	} {
		err := c.spec.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.spec, err, c.want)
		}
	}
}

func TestMasks(t *testing.T) {
	all, err := ParseMasks(maskNames)
	if err != nil || all != MaskAll {
		t.Errorf("all names give %b, %v", all, err)
	}
	names := []string{"addresses", "tcp_timestamps"}
	m, err := ParseMasks(names)
	if err != nil || m != MaskAddresses|MaskTCPTimestamps || !slices.Equal(m.Names(), names) {
		t.Errorf("%v give %b, %v, named %v", names, m, err, m.Names())
	}
	if _, err := ParseMasks([]string{"adresses"}); err == nil || !strings.Contains(err.Error(), `"adresses"`) {
		t.Errorf("unknown mask: %v", err)
	}
}

func TestField(t *testing.T) {
	for name, want := range map[string]string{
		"proto": "proto", "resp_port": "resp_port", "p3_payload": "payload", "p10_gap": "gap",
		"first3_duration": "first_duration", "p3_ipv4_ttl_0": "ipv4_ttl", "p1_tcp_opt_319": "tcp_opt",
		"p1_ipv4_ver_0": "ipv4_ver", "p2_udp_cksum_15": "udp_cksum", "no_column": "no_column",
	} {
		if got := Field(name); got != want {
			t.Errorf("Field(%q) is %q, want %q", name, got, want)
		}
	}
}
