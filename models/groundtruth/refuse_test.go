package groundtruth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenRefuses opens files that are wrong, or name what is.
func TestOpenRefuses(t *testing.T) {
	conn := tsv("conn", connColumns, "1700000000.000000 Ca 192.0.2.1 50000 198.51.100.7 22 tcp ssh 1.0 SF 6")
	const logs = "logs = [\"logs\"]\n"
	list := func(text string) map[string]string { return map[string]string{"l.csv": text} }
	for _, c := range []struct {
		name, text string
		files      map[string]string
		want       string
	}{
		{"nothing", "", nil, "names nothing to read: give logs or flows"},
		{"no TOML", "logs = [", nil, "line 1"},
		{"another key", "log = [\"logs\"]\nflows = [\"l.csv\"]", nil, "log: no such key: there are logs, flows, names and services"},
		{"logs without rules", logs, nil, "no rule says what they mean"},
		{"rules without logs", "flows = [\"l.csv\"]\n[services]\nssh = \"ssh\"", nil, "are of logs: give logs"},
		{"a name without quotes", logs + "[names]\nexample.com = \"x\"", nil, `names: "example": the name is in parts: put all of it in quotes`},
		{"a star", logs + "[names]\n\"*.example.com\" = \"x\"", nil, "write .example.com"},
		{"an address", logs + "[names]\n\"https://example.com\" = \"x\"", nil, "is no name of a server"},
		{"an empty name", logs + "[names]\n\"\" = \"x\"", nil, "is no name of a server"},
		{"a name twice", logs + "[names]\n\"a.test\" = \"x\"\n\"A.test\" = \"y\"", nil, "is there twice, with the labels"},
		{"no label", logs + "[names]\n\"a.test\" = \"\"", nil, "a label has 1 to 64 bytes"},
		{"a number", logs + "[services]\nssh = 1", nil, `services: "ssh": a label is a text in quotes`},
		{"unknown", logs + "[services]\nssh = \"unknown\"", nil, "choose another"},
		{"no service", logs + "[services]\n\",\" = \"x\"", nil, "names none"},
		{"no folder", logs + "[services]\nssh = \"ssh\"", nil, "logs: no such file or directory"},
		{"no log in it", logs + "[services]\nssh = \"ssh\"", map[string]string{"logs/http.log": conn}, "no log of Zeek's conn, ssl, quic or dns is below it"},
		{"no log", logs + "[services]\nssh = \"ssh\"", map[string]string{"logs/conn.log": "Friday: call the printer people.\n"}, "conn.log: neither a Zeek log"},
		{"names without flows", logs + "[services]\nssh = \"ssh\"", map[string]string{"logs/ssl.log": tsv("ssl", sslColumns,
			"1700000000.040000 Ca 192.0.2.1 50000 198.51.100.7 443 TLSv13 a.test T")}, "no conn.log, which says when their flows began"},
		{"no list", "flows = [\"l.csv\"]", nil, "l.csv: no such file or directory"},
		{"an empty list", "flows = [\"l.csv\"]", list(""), "l.csv: the file is empty"},
		{"no label column", "flows = [\"l.csv\"]", list("src,sport,dst,dport,proto\n"), "it needs label, and community_id or src"},
		{"no ends", "flows = [\"l.csv\"]", list("src,sport,dst,dport,label\n"), "it needs label, and community_id or src"},
		{"a short line", "flows = [\"l.csv\"]", list("community_id,label\n\"1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=\",x\n1:A"), "line 3"},
		{"a cut quote", "flows = [\"l.csv\"]", list("community_id,label\n\"1:A"), "line 2"},
		{"a bad id", "flows = [\"l.csv\"]", list("community_id,label\n2:AAAAAAAAAAAAAAAAAAAAAAAAAAA=,x\n"), `line 2: community_id "2:AAAA`},
		{"no label in it", "flows = [\"l.csv\"]", list("community_id,label\n1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=,\n"), "line 2: label"},
		{"a bad address", "flows = [\"l.csv\"]", list("src,sport,dst,dport,proto,label\n1.2.3.4,1,1.2.3.4,2,tcp,x\n1.2.3,1,1.2.3.4,2,tcp,x\n"), `line 3: src "1.2.3", dst "1.2.3.4": are no two addresses`},
		{"two kinds", "flows = [\"l.csv\"]", list("src,sport,dst,dport,proto,label\n1.2.3.4,1,::1,2,tcp,x\n"), "line 2: src"},
		{"a bad port", "flows = [\"l.csv\"]", list("src,sport,dst,dport,proto,label\n1.2.3.4,1,1.2.3.4,https,tcp,x\n"), `line 2: port "https"`},
		{"no port", "flows = [\"l.csv\"]", list("src,dst,proto,label\n1.2.3.4,1.2.3.4,tcp,x\n"), `line 2: port ""`},
		{"a bad protocol", "flows = [\"l.csv\"]", list("src,sport,dst,dport,proto,label\n1.2.3.4,1,1.2.3.4,2,http,x\n"), `line 2: proto "http"`},
		{"a bad time", "flows = [\"l.csv\"]", list("community_id,label,start\n1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=,x,noon\n"), `line 2: start "noon"`},
	} {
		dir := folder(t, c.files)
		path := filepath.Join(dir, "labels.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.Path != path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestTrouble: torn lines are skipped, counted and reported with file and line.
func TestTrouble(t *testing.T) {
	conn := tsv("conn", connColumns,
		"1700000000.000000 Ca 192.0.2.1 50000 198.51.100.7 22 tcp ssh 1.0 SF 6",
		"1700000001.000000 Cb 192.0.2.1 500",
		"later Cc 192.0.2.1 50000 198.51.100.7 22 tcp ssh 1.0 SF 6",
		"1700000002.000000 Cd 192.0.2.1 50000 there 22 tcp ssh 1.0 SF 6",
		"1700000003.000000 Ce 192.0.2.1 50000 198.51.100.7 0 unknown_transport - 1.0 SF 47")
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf("1700000100.%06d C%x 192.0.2.1 %d 198.51.100.7 22 tcp ssh 1.0 SF 6", i*i%1_000_000, uint32(i)*2654435761, i))
	}
	packed := gzipped(tsv("conn", connColumns, many...))
	dir := folder(t, map[string]string{
		"labels.toml":        "logs = [\"logs\"]\n[services]\nssh = \"shell\"\n",
		"logs/conn.log":      conn + "1700000001.000000\tCb\t192.0",
		"logs/conn_2.log":    `{"ts":1700000000.0,"uid":"Ca","id.ori` + "\n" + `{"conn_state":"SF"}` + "\n",
		"logs/conn.3.log.gz": packed[:len(packed)/2],
		"logs/conn.4.log.gz": packed[:5],
		"logs/dns.log":       tsv("dns", dnsColumns, "never D1 192.0.2.1 40000 192.0.2.53 53 udp a.test NOERROR 198.51.100.7 1.0"),
	})
	l, err := Open(filepath.Join(dir, "labels.toml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range l.Read.Trouble {
		got = append(got, strings.TrimPrefix(line, filepath.Join(dir, "logs")+"/"))
	}
	want := []string{
		"conn.3.log.gz: the packed file is cut: what comes before was read",
		"conn.4.log.gz: the packed file is cut: nothing was read",
		"conn.log:9: no row of a log; 2 of such lines were passed over",
		"conn.log:10: no time or addresses that can be read; 2 of such rows were passed over",
		"conn_2.log:1: no row of a log; 1 of such lines were passed over",
		"conn_2.log:2: no time or addresses that can be read; 1 of such rows were passed over",
		"dns.log:8: no time or addresses that can be read; 1 of such rows were passed over",
	}
	if len(got) != len(want) {
		t.Fatalf("trouble %q", got)
	}
	for i := range got {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	if n := l.Read.Connections; n < 1000 || n > 5000 {
		t.Errorf("%d connections", n)
	}
	if a := l.Of("a.pcap", flow(t, "tcp 192.0.2.1 50000 198.51.100.7 22"), t0); a.Label != "shell" {
		t.Errorf("%+v", a)
	}
}

// TestDigest: it changes with everything that a label may come from.
func TestDigest(t *testing.T) {
	conn := tsv("conn", connColumns, "1700000000.000000 Ca 192.0.2.1 50000 198.51.100.7 22 tcp ssh 1.0 SF 6")
	digest := func(text, log, list string) string {
		dir := folder(t, map[string]string{"labels.toml": "logs = [\"logs\"]\nflows = [\"l.csv\"]\n" + text, "logs/conn.log": log, "l.csv": list})
		l, err := Open(filepath.Join(dir, "labels.toml"))
		if err != nil {
			t.Fatal(err)
		}
		return l.Digest()
	}
	const rule, list = "[services]\nssh = \"a\"\n", "community_id,label\n"
	first := digest(rule, conn, list)
	if first == "" || digest(rule, conn, list) != first {
		t.Error("the same files have two digests")
	}
	for i, other := range []string{digest("[services]\nssh = \"b\"\n", conn, list), digest(rule, conn+"#\n", list),
		digest(rule, conn, list+"1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=,x\n")} {
		if other == first {
			t.Errorf("change %d is not seen", i)
		}
	}
}

func TestTally(t *testing.T) {
	var all Tally
	for _, c := range []struct {
		split   string
		answers []Answer
	}{
		{"test", []Answer{{Label: "call", By: ByName}, {Label: "call", By: ByDNS}, {By: NoRule, Unmatched: "b.test"}, {By: NoRule, Unmatched: "service x\x1b"}}},
		{"train", []Answer{{Label: "call", By: ByName}, {Label: "video", By: ByList}, {By: NoRule, Unmatched: "a.test"}, {By: NoRule, Unmatched: "b.test"}}},
		{"train", []Answer{{Label: "call", By: ByService}, {By: NoLog}, {By: NoLog}, {By: NoName}, {By: InConflict}}},
	} {
		var one Tally
		for _, a := range c.answers {
			one.Add(c.split, a)
		}
		all.Join(&one)
	}
	var text strings.Builder
	if err := all.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	const want = `5 of 13 flows have a label: 1 by a list, 2 by a server's name, 1 by DNS, 1 by service
8 have none: 2 in no log, 1 without a name or service, 4 whose name or service is in no rule, 1 in conflict

flows (captures)  train  test
call              2 (2)  2 (1)
video             1 (1)  0 (0)

in no rule, by flows
     2  b.test
     1  a.test
     1  "service x\x1b"
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &text, want)
	}
	if n, labelled := all.Flows(); n != 13 || labelled != 5 {
		t.Errorf("%d of %d", labelled, n)
	}
}

// TestZeekctlFolder: what zeekctl leaves beside the logs ends nothing, and logs as
// databases write them are read.
func TestZeekctlFolder(t *testing.T) {
	dir := folder(t, map[string]string{
		"labels.toml": "logs = [\"logs\"]\n[services]\nssh = \"shell\"\n",
		"logs/2023-11-14/conn-summary.22:13:20-23:00:00.log.gz": gzipped(">== Total === 2023-11-14\n   - Connections 1.0 - Payload 1.0k\n"),
		"logs/2023-11-14/conn.22:13:20-23:00:00.log.gz":         gzipped(`{"ts":1700000000.0,"uid":"C1","id_orig_h":"192.0.2.1","id_orig_p":50000,"id_resp_h":"192.0.2.2","id_resp_p":22,"proto":"tcp","service":"ssh","conn_state":"SF"}` + "\n"),
	})
	elsewhere := folder(t, map[string]string{"labels.toml": fmt.Sprintf("logs = [%q]\n[services]\nssh = \"shell\"\n", filepath.Join(dir, "logs"))})
	for _, dir := range []string{dir, elsewhere} { // by a path in the folder, and by an absolute one
		known, err := Open(filepath.Join(dir, "labels.toml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := known.Of("x.pcap", flow(t, "tcp 192.0.2.1 50000 192.0.2.2 22"), t0).Label; got != "shell" {
			t.Errorf("the label is %q", got)
		}
		if len(known.Read.Trouble) != 1 || !strings.Contains(known.Read.Trouble[0], "conn-summary") {
			t.Errorf("%q", known.Read.Trouble)
		}
	}
}
