package groundtruth

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/output/zeeklog"
)

const second = 1_000_000

// t0 is when the logs of these tests begin, in µs.
const t0 = 1_700_000_000 * second

// flow is a flow as a test writes it: proto src sport dst dport.
func flow(t testing.TB, text string) packet.Tuple {
	t.Helper()
	f := strings.Fields(text)
	tuple, ok := zeeklog.Tuple([]byte(f[1]), []byte(f[2]), []byte(f[3]), []byte(f[4]), []byte(f[0]))
	if !ok {
		t.Fatalf("%q is no flow", text)
	}
	return tuple
}

// folder writes files and returns the folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tsv is a log as Zeek writes it; columns are parted by blanks here.
func tsv(path, columns string, rows ...string) string {
	tabs := func(s string) string { return strings.Join(strings.Fields(s), "\t") + "\n" }
	var log strings.Builder
	log.WriteString("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t" + path +
		"\n#open\t2023-11-14-22-13-20\n#fields\t" + tabs(columns))
	for _, row := range rows {
		log.WriteString(tabs(row))
	}
	return log.String() + "#close\t2023-11-14-23-00-00\n"
}

const (
	connColumns = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration conn_state ip_proto"
	sslColumns  = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version server_name established"
	dnsColumns  = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto query rcode_name answers TTLs"
)

func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

// The rules of the tests of joins.
const ruled = `
logs = ["logs"]
[names]
".video.example" = "video"
"meet.example" = "call"
[services]
ssh = "shell"
ssl = "tls"
"imap,ssl" = "mail"
smtp = "mail"
http = "web"
"ftp" = "files"
"irc" = "chat"
`

// TestOf asks for flows in logs of every kind.
func TestOf(t *testing.T) {
	type ask struct {
		flow string
		at   int64 // µs after t0
		want Answer
	}
	label := func(label string, by By) Answer { return Answer{Label: label, By: by} }
	for _, c := range []struct {
		name  string
		files map[string]string
		text  string // of labels.toml; "": ruled
		ask   []ask
	}{
		{"names of TLS and services", map[string]string{
			"logs/conn.log": tsv("conn", connColumns,
				"1700000000.000042 Ca 192.0.2.1 50000 198.51.100.7 443 tcp ssl 1.0 SF 6",
				"1700000001.000000 Cb 2001:db8::1 50001 2001:db8::7 443 udp quic,ssl 1.0 SF 17",
				"1700000002.000000 Cc 192.0.2.1 50002 198.51.100.7 22 tcp ssh 1.0 SF 6",
				"1700000003.000000 Cd 192.0.2.1 50003 198.51.100.7 443 tcp ssl,imap - SF 6",
				"1700000004.000000 Ce 192.0.2.1 50004 198.51.100.7 8080 tcp http,smtp - SF 6",
				"1700000005.000000 Cf 192.0.2.1 50005 198.51.100.7 9999 tcp - - S0 6",
				"1700000006.000000 Cg 192.0.2.1 50006 198.51.100.7 123 udp ntp - SF 17",
				"1700000007.000000 Ch 192.0.2.1 50007 198.51.100.7 443 tcp ssl - SF 6",
				"1700000008.000000 Ci 192.0.2.1 8 198.51.100.7 0 icmp - - OTH 1",
				"1700000009.000000 Cj 2001:db8::1 128 2001:db8::7 129 icmp - - OTH 58",
				"1700000010.000000 Ck 192.0.2.1 50010 198.51.100.7 80 tcp http,-ssh - SF 6"),
			"logs/ssl.log": tsv("ssl", sslColumns,
				"1700000000.040000 Ca 192.0.2.1 50000 198.51.100.7 443 TLSv13 CDN1.Video.Example T",
				"1700000001.050000 Cb 2001:db8::1 50001 2001:db8::7 443 TLSv13 meet.example. T",
				"1700000003.000000 Cd 192.0.2.1 50003 198.51.100.7 443 TLSv13 - T",
				"1700000007.040000 Ch 192.0.2.1 50007 198.51.100.7 443 TLSv13 other.example T"),
		}, "", []ask{
			{"tcp 192.0.2.1 50000 198.51.100.7 443", 42, label("video", ByName)},
			// As where the capture begins with the answer, and by another clock.
			{"tcp 198.51.100.7 443 192.0.2.1 50000", -1_999_000, label("video", ByName)},
			{"tcp 192.0.2.1 50000 198.51.100.7 443", -2_000_000, Answer{By: NoLog}},
			{"udp 2001:db8::1 50001 2001:db8::7 443", 1 * second, label("call", ByName)},
			{"tcp 192.0.2.1 50002 198.51.100.7 22", 2 * second, label("shell", ByService)},
			{"tcp 192.0.2.1 50003 198.51.100.7 443", 3 * second, label("mail", ByService)},
			{"tcp 192.0.2.1 50004 198.51.100.7 8080", 4 * second, Answer{By: InConflict}},
			{"tcp 192.0.2.1 50005 198.51.100.7 9999", 5 * second, Answer{By: NoName}},
			{"udp 192.0.2.1 50006 198.51.100.7 123", 6 * second, Answer{By: NoRule, Unmatched: "service ntp"}},
			{"tcp 192.0.2.1 50007 198.51.100.7 443", 7 * second, label("tls", ByService)},
			{"icmp 192.0.2.1 8 198.51.100.7 0", 8 * second, Answer{By: NoName}},
			{"icmp 2001:db8::1 128 2001:db8::7 0", 9 * second, Answer{By: NoName}},
			{"tcp 192.0.2.1 50010 198.51.100.7 80", 10 * second, label("web", ByService)},
			{"47 192.0.2.1 0 198.51.100.7 0", 0, Answer{By: NoLog}},
			{"udp 192.0.2.1 50000 198.51.100.7 443", 42, Answer{By: NoLog}},
		}},
		{"a 5-tuple that is used again", map[string]string{
			"logs/conn.log": tsv("conn", connColumns,
				"1700000000.000000 Ca 192.0.2.1 50000 198.51.100.7 21 tcp ftp 1.0 SF 6",
				"1700000001.000000 Cb 192.0.2.1 50000 198.51.100.7 21 tcp irc 1.0 SF 6",
				"1700000900.000000 Cc 192.0.2.1 50000 198.51.100.7 21 tcp ssh 1.0 SF 6",
				"1700000900.000000 Cd 192.0.2.1 50000 198.51.100.7 21 tcp ssh 1.0 SF 6", // of another Zeek
				"1700001800.000000 Ce 192.0.2.1 50000 198.51.100.7 21 tcp ssh 1.0 SF 6",
				"1700001800.000000 Cf 192.0.2.1 50000 198.51.100.7 21 tcp irc 1.0 SF 6"),
		}, "", []ask{
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 0, label("files", ByService)},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 499_999, label("files", ByService)},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 500_000, Answer{By: InConflict}},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 500_001, label("chat", ByService)},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 900 * second, label("shell", ByService)},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 1800 * second, Answer{By: InConflict}},
			{"tcp 192.0.2.1 50000 198.51.100.7 21", 600 * second, Answer{By: NoLog}},
		}},
		{"names of DNS", map[string]string{
			"logs/conn.log": tsv("conn", connColumns,
				"1700000100.000000 Ca 192.0.2.1 50000 198.51.100.7 443 tcp ssl 1.0 SF 6",
				"1700000100.000000 Cb 192.0.2.1 50001 198.51.100.7 443 tcp ssl 1.0 SF 6"),
			"logs/ssl.log": tsv("ssl", sslColumns, "1700000100.000000 Cb 192.0.2.1 50001 198.51.100.7 443 TLSv13 unruled.example T"),
			"logs/dns.log": tsv("dns", dnsColumns,
				"1700000000.000000 D1 192.0.2.1 40000 192.0.2.53 53 udp cdn.video.example NOERROR edge.cdn.example,198.51.100.7,198.51.100.8 60.000000,30.000000,30.000000",
				"1700000200.000000 D2 192.0.2.1 40001 192.0.2.53 53 udp meet.example NOERROR 198.51.100.8 86400.000000",
				"1700000300.000000 D3 192.0.2.1 40002 192.0.2.53 53 udp nothing.example NXDOMAIN - -",
				"1700000400.000000 D4 2001:db8::1 40003 2001:db8::53 53 udp meet.example NOERROR 2001:db8::7 60.000000",
				"1700000500.000000 D5 192.0.2.1 40004 192.0.2.53 53 udp unruled.example NOERROR 198.51.100.8 60.000000",
				"1700000600.000000 D6 192.0.2.3 40004 192.0.2.53 53 udp meet.example NOERROR 198.51.100.9 nan",
				"1700000600.000000 D7 192.0.2.3 40004 192.0.2.53 53 udp meet.example NOERROR (empty) (empty)"),
		}, "", []ask{
			{"tcp 192.0.2.1 50000 198.51.100.7 443", 100 * second, label("video", ByDNS)},
			// TLS says better who it is.
			{"tcp 192.0.2.1 50001 198.51.100.7 443", 100 * second, label("tls", ByService)},
			// In no conn.log, and still DNS tells.
			{"tcp 192.0.2.1 50002 198.51.100.7 443", 100 * second, label("video", ByDNS)},
			{"tcp 192.0.2.1 50002 198.51.100.7 443", -1, Answer{By: NoLog}},
			{"tcp 192.0.2.1 50002 198.51.100.7 443", 3600 * second, label("video", ByDNS)},
			{"tcp 192.0.2.1 50002 198.51.100.7 443", 3600*second + 1, Answer{By: NoLog}},
			{"tcp 192.0.2.2 50002 198.51.100.7 443", 100 * second, Answer{By: NoLog}}, // another client
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 100 * second, label("video", ByDNS)},
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 200 * second, label("video", ByDNS)},
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 200*second + 1, Answer{By: InConflict}},
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 600 * second, Answer{By: NoRule, Unmatched: "unruled.example"}},
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 86600 * second, label("call", ByDNS)}, // as long as its TTL
			{"tcp 192.0.2.1 50002 198.51.100.8 443", 86600*second + 1, Answer{By: NoLog}},
			{"udp 2001:db8::1 50003 2001:db8::7 443", 401 * second, label("call", ByDNS)},
			{"udp 192.0.2.3 50003 198.51.100.9 443", 601 * second, label("call", ByDNS)},
		}},
		{"JSON, rotated, packed and concatenated", map[string]string{
			"logs/2023-11-14/conn.22:00:00-23:00:00.log.gz": gzipped(`{"ts":1700000000.000042,"uid":"Ca","id.orig_h":"192.0.2.1","id.orig_p":50000,"id.resp_h":"198.51.100.7","id.resp_p":443,"proto":"tcp","conn_state":"SF"}
{"ts":"2023-11-14T22:13:21.500000Z","uid":"Cb","id.orig_h":"192.0.2.1","id.orig_p":50001,"id.resp_h":"198.51.100.7","id.resp_p":443,"proto":"tcp","service":"ssl","conn_state":"SF"}
`),
			"logs/2023-11-14/ssl_x.json": `{"ts":1700000000.1,"uid":"Ca","server_name":"a.video.example"}
{"ts":1700000000.1,"uid":"Cx","server_name":null}
`,
			"logs/2023-11-14/dns.log": `{"ts":1700000000.1,"uid":"D","id.orig_h":"192.0.2.1","query":"meet.example","answers":["x.example","198.51.100.9"],"TTLs":[1.0,2.0]}` + "\n",
			"logs/2023-11-15/conn.log": tsv("conn", connColumns, "1700080000.000000 Cc 192.0.2.1 50000 198.51.100.7 22 tcp ssh 1.0 SF 6") +
				tsv("conn", "uid proto ts id.orig_h id.orig_p id.resp_h id.resp_p conn_state service", "Cd udp 1700080001.000000 192.0.2.1 50001 198.51.100.7 6667 SF irc"),
			"logs/2023-11-15/known_hosts.log": "nothing to read\n",
			"logs/2023-11-15/stderr.log":      "nothing to read\n",
		}, "", []ask{
			{"tcp 192.0.2.1 50000 198.51.100.7 443", 42, label("video", ByName)},
			{"tcp 192.0.2.1 50001 198.51.100.7 443", 1_500_000, label("tls", ByService)},
			{"tcp 192.0.2.1 50001 198.51.100.9 443", 1_500_000, label("call", ByDNS)},
			{"tcp 192.0.2.1 50000 198.51.100.7 22", 80_000 * second, label("shell", ByService)},
			{"udp 198.51.100.7 6667 192.0.2.1 50001", 80_001 * second, label("chat", ByService)},
		}},
		{"lists", map[string]string{
			"a.csv": "src,sport,dst,dport,proto,start,label\n" +
				"192.0.2.1,50000,198.51.100.7,443,tcp,1700000000.5,video\n" +
				"192.0.2.1,50000,198.51.100.7,443,tcp,2023-11-14T22:15:00Z,call\n" +
				"192.0.2.1,50000,198.51.100.7,443,tcp,,other\n" +
				"198.51.100.7,53,192.0.2.1,5353,UDP,,dns\n" +
				"2001:db8::1,,2001:db8::2,,58,,ping\n" +
				"192.0.2.9,1,198.51.100.7,2,tcp,,one\n192.0.2.9,1,198.51.100.7,2,tcp,,two\n192.0.2.9,1,198.51.100.8,2,tcp,,two\n192.0.2.9,1,198.51.100.8,2,tcp,,two\n",
			"b.csv": "\ufefflabel,community_id,why\nshell," + communityid.Of(flow(t, "tcp 192.0.2.1 50002 198.51.100.7 22")) + ",\"a, b\"\n",
			"logs/conn.log": tsv("conn", connColumns,
				"1700000000.000000 Ca 192.0.2.1 50002 198.51.100.7 22 tcp irc 1.0 SF 6",
				"1700000000.000000 Cb 192.0.2.1 50003 198.51.100.7 22 tcp irc 1.0 SF 6"),
		}, "flows = [\"a.csv\", \"b.csv\"]\n" + ruled, []ask{
			{"tcp 192.0.2.1 50000 198.51.100.7 443", 500_000, label("video", ByList)},
			{"tcp 192.0.2.1 50000 198.51.100.7 443", 100 * second, label("call", ByList)},
			{"tcp 198.51.100.7 443 192.0.2.1 50000", 200 * second, label("other", ByList)},
			{"udp 192.0.2.1 5353 198.51.100.7 53", 0, label("dns", ByList)},
			{"icmp 2001:db8::1 0 2001:db8::2 0", 0, label("ping", ByList)},
			{"tcp 192.0.2.9 1 198.51.100.7 2", 0, Answer{By: InConflict}},
			{"tcp 192.0.2.9 1 198.51.100.8 2", 0, label("two", ByList)},
			{"tcp 192.0.2.1 50002 198.51.100.7 22", 0, label("shell", ByList)},
			{"tcp 192.0.2.1 50003 198.51.100.7 22", 0, label("chat", ByService)},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.text == "" {
				c.text = ruled
			}
			dir := folder(t, c.files)
			path := filepath.Join(dir, "labels.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			l, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Read.Trouble) > 0 {
				t.Errorf("trouble: %q", l.Read.Trouble)
			}
			for _, a := range c.ask {
				got := l.Of("a.pcap", flow(t, a.flow), t0+a.at)
				if got.Line, got.Apart = 0, 0; got != a.want {
					t.Errorf("%s at %d: %+v, want %+v", a.flow, a.at, got, a.want)
				}
			}
			var asking sync.WaitGroup // as many goroutines do
			for range 4 {
				asking.Go(func() {
					for _, a := range c.ask {
						l.Of("a.pcap", flow(t, a.flow), t0+a.at)
					}
				})
			}
			asking.Wait()
		})
	}
}

// A line that names a capture is about its flows alone, and comes before one that
// names none. With a start it means one flow, without it all between its ends.
func TestLinesOfCaptures(t *testing.T) {
	const ends = ",192.0.2.1,50000,198.51.100.7,443,tcp,1700000000\n"
	dir := folder(t, map[string]string{
		"labels.toml": `flows = ["a.csv", "b.csv"]`,
		"a.csv":       "label,detail,file,src,sport,dst,dport,proto,start\nweb,TLS,pcap/a.pcap.zst" + ends + "proxy,trojan,b.pcap" + ends,
		"b.csv":       "label,detail,file,src,sport,dst,dport,proto,start\nmail,," + strings.Replace(ends, "1700000000", "", 1),
	})
	l, err := Open(filepath.Join(dir, "labels.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for capture, want := range map[string]Answer{
		"/data/a.pcap":     {Label: "web", By: ByList, Detail: "TLS", Line: 1, Apart: 1500},
		"b.pcap.gz":        {Label: "proxy", By: ByList, Detail: "trojan", Line: 2, Apart: 1500},
		"other/c.pcap.zst": {Label: "mail", By: ByList},
	} {
		if got := l.Of(capture, flow(t, "tcp 192.0.2.1 50000 198.51.100.7 443"), t0-1500); got != want {
			t.Errorf("%s: %+v, want %+v", capture, got, want)
		}
	}
}

// TestNames holds names against rules.
func TestNames(t *testing.T) {
	r, err := newRules(map[string]any{
		".example.com": "below", ".a.example.com": "further", "www.example.com": "whole", ".Example.NET.": "net", "localhost": "local",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"example.com": "below", "x.example.com": "below", "x.y.example.com": "below", "EXAMPLE.com.": "below",
		"a.example.com": "further", "b.a.example.com": "further", "ba.example.com": "below",
		"www.example.com": "whole", "x.www.example.com": "below",
		"notexample.com": "", "example.com.evil.test": "", "com": "", "": "", ".": "", "..": "", "localhost": "local", "x.localhost": "",
		"example.net": "net",
	} {
		if got := r.name(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	r, err = newRules(map[string]any{".": "rest", ".example.com": "below"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.test": "rest", "x.example.com": "below", "localhost": "rest"} {
		if got := r.name(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestServices holds services against rules: those that name more come first.
func TestServices(t *testing.T) {
	r, err := newRules(nil, map[string]any{"ssl": "tls", "imap": "mail", "SSL, imap": "mail over tls", "http": "web"})
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string][]string{
		"ssl": {"tls"}, "imap,ssl": {"mail over tls"}, "ssl,imap,http": {"mail over tls"}, "http,ssl": {"web", "tls"},
		"": nil, "ftp": nil, "-ssl": nil, "http,-ssl": {"web"}, "sslx": nil,
	} {
		if got := r.service(service); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", service, got, want)
		}
	}
}
