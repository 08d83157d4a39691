package groundtruth

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"
)

func isPlain(in []byte) bool {
	return !bytes.HasPrefix(in, []byte{0x1f, 0x8b}) && !bytes.HasPrefix(in, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// FuzzLog: whatever stands before a log in a file, its flows are found, and no
// label comes that no rule has.
func FuzzLog(f *testing.F) {
	f.Add([]byte(tsv("ssl", sslColumns, "1700000000.040000 Ca 192.0.2.1 50000 198.51.100.7 443 TLSv13 a.test T")))
	f.Add([]byte(tsv("dns", dnsColumns, "1700000000.000000 D1 192.0.2.1 40000 192.0.2.53 53 udp a.test NOERROR x.test,198.51.100.7 60.0,1e999")))
	f.Add([]byte(tsv("conn", connColumns, "1700000000.000000 Ca 192.0.2.1 50000 198.51.100.7 22 tcp ssh,-ftp 1.0 SF 6", "1700000001.0 Cb")))
	f.Add([]byte(`{"ts":1.5,"uid":"Ca","id.orig_h":"::1","id.resp_h":"::2","proto":"udp","conn_state":"SF","service":null,"answers":[1,"a",null,{}],"query":"a"}`))
	f.Add([]byte("#separator \\x7c\n#set_separator|\n#unset_field|\n#fields|ts|uid|answers|query|id.orig_h\n1|||||\n1|a|192.0.2.1|b|192.0.2.2\n"))
	f.Add([]byte("#separator \n#fields"))
	good := tsv("conn", connColumns, "1700000000.000000 Cgood 203.0.113.1 50000 203.0.113.2 22 tcp ssh 1.0 SF 6")
	tuple := flow(f, "tcp 203.0.113.1 50000 203.0.113.2 22")
	rules, err := newRules(map[string]any{".test": "named"}, map[string]any{"ssh": "shell"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		if !isPlain(log) {
			return
		}
		r := reading{Labels: &Labels{rules: rules, seed: maphash.MakeSeed()}}
		if err := r.read(strings.NewReader(string(log)+"\n"+good), "log"); err != nil {
			t.Fatal(err)
		}
		r.conns.sort()
		r.servers.sort()
		r.answers.sort()
		switch a := r.Of("a.pcap", tuple, t0); {
		case a.By == NoLog, a.By == NoName:
			t.Fatalf("%+v after %q", a, log)
		case a.Label != "" && a.Label != "shell" && a.Label != "named":
			t.Fatalf("%+v", a)
		}
	})
}

// FuzzList: any list is read or refused, with the line.
func FuzzList(f *testing.F) {
	f.Add([]byte("src,sport,dst,dport,proto,start,label\n192.0.2.1,50000,198.51.100.7,443,tcp,1700000000.5,video\n"))
	f.Add([]byte("label,community_id\nx,1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\"y\n"))
	f.Add([]byte("\ufefflabel,community_id,label\n"))
	tuple := flow(f, "tcp 192.0.2.1 50000 198.51.100.7 443")
	f.Fuzz(func(t *testing.T, list []byte) {
		if !isPlain(list) {
			return
		}
		r := reading{Labels: &Labels{seed: maphash.MakeSeed()}}
		if err := r.list(bytes.NewReader(list)); err != nil {
			return
		}
		r.flows.sort()
		if a := r.Of("a.pcap", tuple, t0); a.Label != "" && checkLabel(a.Label) != nil {
			t.Fatalf("%+v", a)
		}
	})
}
