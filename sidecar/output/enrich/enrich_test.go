package enrich

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/zeeklog"
	"serveflow/sidecar/tap/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func tuple(proto uint8, src string, sport uint16, dst string, dport uint16) packet.Tuple {
	t := packet.Tuple{Proto: proto, SrcPort: sport, DstPort: dport}
	t.SetAddrs(netip.MustParseAddr(src), netip.MustParseAddr(dst))
	return t
}

// labelLog is what the sidecar wrote while the logs of testdata were made.
func labelLog(t testing.TB) []byte {
	uid := func(s string) wire.FlowID {
		f, err := wire.StringID(s)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const second = 1_000_000
	const start = 1_700_000_000 * second
	var b []byte
	for _, r := range []decision.Record{
		{Start: start + 42, Sensor: "dmz-1", Flow: uid("CHhAvVGS1DHFjwGM9"), Tuple: tuple(6, "192.0.2.1", 50_000, "198.51.100.7", 443),
			Label: "camera", Score: .96875, Margin: .9375, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted"},
		{Start: start + 1_500_000, Sensor: "dmz-1", Flow: wire.UintID(1 << 50), Tuple: tuple(17, "192.0.2.2", 5353, "8.8.8.8", 53),
			Label: "thermostat", Score: .75, Margin: .5, Stage: "last", Packets: 10, LatencyUS: 1_250_000, Model: "iot-device@1.0.0", Reason: "last_stage"},
		{Start: start + 90_000*second, Sensor: "dmz-1", Flow: wire.UintID(1 << 50), Tuple: tuple(6, "192.0.2.9", 1, "192.0.2.8", 2),
			Label: "printer", Score: 1, Margin: 1, Stage: "first", Packets: 1, Model: "iot-device@1.0.1", Reason: "accepted"},
		{Start: start + 10*second, Flow: uid("Cfallback"), Tuple: tuple(6, "10.0.0.1", 1234, "10.0.0.2", 80),
			Label: "hub", Score: .5, Margin: .25, Stage: "second", Packets: 3, LatencyUS: 20_000, Model: "iot-device@1.0.0", Reason: "timeout"},
		{Start: start + 11*second, Flow: uid("Cping6"), Tuple: tuple(58, "2001:db8::1", 128, "2001:db8::2", 0),
			Label: "speaker", Score: .625, Margin: .5, Stage: "first", Packets: 1, LatencyUS: 0, Model: "iot-device@1.0.0", Reason: "accepted"},
		{Start: start + 12*second, Flow: uid("Cpartial"), Tuple: tuple(6, "10.0.0.3", 1234, "10.0.0.2", 80),
			Label: "unknown", Score: float32(math.NaN()), Margin: float32(math.NaN()), Packets: 0, LatencyUS: -5, Model: "no version", Reason: "partial"},
		{Start: start + 13*second, Flow: uid("Chostile"), Tuple: tuple(6, "10.0.0.4", 1234, "10.0.0.2", 80),
			Label: "a\tb\nc\\d\"e|f", Score: 1e-7, Margin: 1e-7, Stage: "-", Packets: 2, Model: "(empty)@2", Reason: "NIL"},
	} {
		b = r.Append(b)
	}
	return append(b, `{"ts":1700000014.000000,"sensor":"","flow":"Ctor`...) // still being written
}

func loaded(t testing.TB) *Labels {
	t.Helper()
	l, err := Load(bytes.NewReader(labelLog(t)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each log of testdata has beside it what becomes of it, and the counters.
//
//	eve               EVE JSON: by flow_id on any event type, by Community ID
//	                  in both directions; a torn record, a labelled one
//	zeek_conn         by uid, by Community ID of the ends, ICMPv6; a torn row
//	zeek_concatenated several headers, other separators and placeholders,
//	                  columns of ours that are there already
//	zeek_json         the same in JSON, with Zeek's kinds of times
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.log")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, paths)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, ".log")
		t.Run(filepath.Base(name), func(t *testing.T) {
			var out bytes.Buffer
			stats, err := loaded(t).Enrich(bytes.NewReader(read(t, path)), &out)
			if err != nil {
				t.Fatal(err)
			}
			if stats.Rows != stats.ByID+stats.ByCommunityID+stats.Labelled+stats.Unmatched {
				t.Errorf("rows do not add up: %+v", stats)
			}
			golden(t, name+".want", out.Bytes())
			golden(t, name+".stats", fmt.Appendln(nil, stats))
		})
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestLabels(t *testing.T) {
	l := loaded(t)
	if l.Len() != 7 || l.Broken() != 1 {
		t.Errorf("%d decisions, %d broken lines", l.Len(), l.Broken())
	}
	for name, test := range map[string]struct {
		text        string
		len, broken int
		err         error
	}{
		"empty":           {"", 0, 0, nil},
		"blank lines":     {"\n\r\n\n", 0, 0, nil},
		"another log":     {"{\"event_type\":\"flow\"}\n", 0, 0, ErrNoLabels},
		"no JSON":         {"#separator \\x09\n", 0, 0, ErrNoLabels},
		"the least":       {`{"flow":1,"label":""}`, 1, 0, nil},
		"odd values":      {`{"flow":1,"label":"a","ts":"x","score":"y","packets":1e99,"latency_us":[],"model":7,"reason":null}`, 1, 0, nil},
		"label no string": {"{\"flow\":1,\"label\":2}\n{\"flow\":1,\"label\":\"x\"}\n", 1, 1, nil},
		"other order":     {` { "label" : "x" , "more" : { "flow" : [ 1 ] } , "flow" : "y" } `, 1, 0, nil},
	} {
		l, err := Load(strings.NewReader(test.text))
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (l.Len() != test.len || l.Broken() != int64(test.broken)) {
			t.Errorf("%s: %d decisions, %d broken lines", name, l.Len(), l.Broken())
		}
	}
}

func enrich(t testing.TB, in string) (string, Stats) {
	t.Helper()
	var out bytes.Buffer
	stats, err := loaded(t).Enrich(strings.NewReader(in), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

const (
	hit  = `{"flow_id":1125899906842624}`
	miss = `{"flow_id":1}`
)

// Line ends, a last line without one, and blank lines stay as they are.
func TestLineEnds(t *testing.T) {
	plain, _ := enrich(t, hit)
	if !strings.HasPrefix(plain, `{"flow_id":1125899906842624,"serveflow":{`) {
		t.Fatal(plain)
	}
	for in, want := range map[string]string{
		"":                           "",
		"\n\n":                       "\n\n",
		hit + "\n":                   plain + "\n",
		hit + "\r\n" + miss + "\r\n": plain + "\r\n" + miss + "\r\n",
		miss + "\n\n" + hit:          miss + "\n\n" + plain,
		"  " + hit + " \t":           "  " + plain + " \t",
	} {
		if got, _ := enrich(t, in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got, _ := enrich(t, "#fields\tuid\r\nCHhAvVGS1DHFjwGM9\r\n"); got != "#fields\tuid"+
		"\tml_label\tml_score\tml_stage\tml_pkts\tml_latency\tml_model\tml_reason\r\n"+
		"CHhAvVGS1DHFjwGM9\tcamera\t0.96875\tfirst\t1\t0.000812\tiot-device@1.0.0\taccepted\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestFormatUnknown(t *testing.T) {
	for _, in := range []string{
		"a\nb\n", "uid,label\n1,2\n3,4\n", "one line",
		"{\n  \"flow_id\": 1\n}\n{\n  \"flow_id\": 2\n}\n",                                      // pretty-printed
		"[" + hit + ",\n" + hit + "]\n", "[\n" + hit + ",\n" + hit + "\n]\n", "[" + hit + "]\n", // an array
	} {
		if _, err := loaded(t).Enrich(strings.NewReader(in), io.Discard); err != zeeklog.ErrFormat {
			t.Errorf("%q: %v", in, err)
		}
	}
	// The first line may be the rest of one that rotation cut.
	if _, stats := enrich(t, "_id\":5}\n"+hit+"\n"); stats != (Stats{Rows: 1, ByID: 1, Broken: 1}) {
		t.Errorf("%+v", stats)
	}
}

// Of several decisions the nearest in time is taken.
func TestNearest(t *testing.T) {
	for ts, want := range map[string]string{
		`"flow":{"start":"2023-11-14T22:13:21.500000+0000"}`: "thermostat",
		`"flow":{"start":"2023-11-15T23:13:20.000000+0000"}`: "printer",
		`"timestamp":"1970-01-01T00:00:00.000000+0000"`:      "thermostat",
		`"timestamp":"2023-11-16T00:00:00.000000+0100"`:      "printer",
		`"timestamp":"not a time"`:                           "printer", // the last one
	} {
		got, _ := enrich(t, `{"event_type":"flow","flow_id":1125899906842624,`+ts+`}`)
		if !strings.Contains(got, `"label":"`+want+`"`) {
			t.Errorf("%s: %s, want %s", ts, got, want)
		}
	}
}

// Joined by Community ID: from the row, from its ends, in either direction, as
// long as the start is near.
func TestCommunityID(t *testing.T) {
	const v6 = `"src_ip":"2001:db8::2","dest_ip":"2001:db8::1","proto":"IPv6-ICMP","icmp_type":129,"icmp_code":0`
	cid := communityid.Of(tuple(6, "10.0.0.1", 1234, "10.0.0.2", 80))
	for name, test := range map[string]struct {
		fields string
		want   bool
	}{
		"the id":           {`"ts":1700000010.0,"community_id":"` + cid + `"`, true},
		"escaped":          {`"ts":1700000010.0,"community_id":"\u0031` + cid[1:] + `"`, true},
		"2 s late":         {`"ts":1700000012.0,"community_id":"` + cid + `"`, true},
		"2 s early":        {`"ts":1700000008,"community_id":"` + cid + `"`, true},
		"too late":         {`"ts":1700000012.000001,"community_id":"` + cid + `"`, false},
		"no time":          {`"community_id":"` + cid + `"`, false},
		"milliseconds":     {`"ts":1700000010000.0,"community_id":"` + cid + `"`, true},
		"ISO 8601":         {`"ts":"2023-11-14T22:13:30.000000Z","community_id":"` + cid + `"`, true},
		"another seed":     {`"ts":1700000010.0,"community_id":"1:x","id.orig_h":"10.0.0.1","id.orig_p":1234,"id.resp_h":"10.0.0.2","id.resp_p":80,"proto":"tcp"`, true},
		"other direction":  {`"ts":1700000010.0,"id.orig_h":"10.0.0.2","id.orig_p":80,"id.resp_h":"10.0.0.1","id.resp_p":1234,"proto":"tcp"`, true},
		"other protocol":   {`"ts":1700000010.0,"id.orig_h":"10.0.0.2","id.orig_p":80,"id.resp_h":"10.0.0.1","id.resp_p":1234,"proto":"udp"`, false},
		"mapped addresses": {`"ts":1700000010.0,"id.orig_h":"::ffff:10.0.0.1","id.orig_p":1234,"id.resp_h":"10.0.0.2","id.resp_p":80,"proto":"tcp"`, true},
		"mixed addresses":  {`"ts":1700000010.0,"id.orig_h":"::1","id.orig_p":1234,"id.resp_h":"10.0.0.2","id.resp_p":80,"proto":"tcp"`, false},
		"Suricata's ICMP":  {`"timestamp":"2023-11-14T22:13:31.000000+0000",` + v6, true},
		"Zeek's ICMP":      {`"ts":1700000011.0,"id.orig_h":"2001:db8::1","id.orig_p":128,"id.resp_h":"2001:db8::2","id.resp_p":129,"proto":"icmp"`, true},
		"protocol number":  {`"ts":1700000010.0,"src_ip":"10.0.0.1","src_port":1234,"dest_ip":"10.0.0.2","dest_port":80,"proto":"006"`, true},
	} {
		got, stats := enrich(t, `{"uid":"Cother",`+test.fields+`}`)
		if test.want != (stats.ByCommunityID == 1) || test.want == (stats.Unmatched == 1) {
			t.Errorf("%s: %+v, %s", name, stats, got)
		}
	}
}

func TestCompressed(t *testing.T) {
	want, _ := enrich(t, hit)
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	g.Write(labelLog(t))
	g.Close()
	z.Write([]byte(hit))
	z.Close()
	var out bytes.Buffer
	labels, err := Load(&gz)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := labels.Enrich(&zs, &out); err != nil || out.String() != want {
		t.Errorf("%v: got %q, want %q", err, out.String(), want)
	}
	for _, broken := range []string{"\x1f\x8bxx", "\x28\xb5\x2f\xfdxx"} {
		if _, err := Load(strings.NewReader(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
		if _, err := loaded(t).Enrich(strings.NewReader(broken), io.Discard); err == nil {
			t.Errorf("%q was enriched", broken)
		}
	}
}

// A line without end is passed on, not kept in memory.
func TestLongLine(t *testing.T) {
	long := `{"flow_id":1,"x":"` + strings.Repeat("x", jsonl.MaxLine+1<<20) + `"}`
	out, stats := enrich(t, long+"\n"+hit+"\n"+long)
	if stats != (Stats{Rows: 1, ByID: 1, Broken: 2}) {
		t.Errorf("%+v", stats)
	}
	if !strings.HasPrefix(out, long+"\n{") || !strings.HasSuffix(out, "}\n"+long) {
		t.Error("the long lines were changed")
	}
	l, err := Load(strings.NewReader(long + "\n" + string(labelLog(t))))
	if err != nil || l.Len() != 7 || l.Broken() != 2 {
		t.Error(err)
	}
}

func TestReadAndWriteErrors(t *testing.T) {
	trouble := errors.New("trouble")
	bad := func() io.Reader { return io.MultiReader(strings.NewReader(hit+"\n"), iotest.ErrReader(trouble)) }
	if _, err := Load(bad()); !errors.Is(err, trouble) {
		t.Error(err)
	}
	var out bytes.Buffer
	if _, err := loaded(t).Enrich(bad(), &out); !errors.Is(err, trouble) || !strings.Contains(out.String(), "serveflow") {
		t.Errorf("%v, and what was read before is %q", err, out.String())
	}
	for _, n := range []int{1, 10_000} {
		in := strings.NewReader(strings.Repeat(hit+"\n", n))
		if _, err := loaded(t).Enrich(in, iotest.TruncateWriter(failing{trouble}, 0)); err != nil {
			t.Error(err) // TruncateWriter pretends
		}
		in.Seek(0, io.SeekStart)
		if _, err := loaded(t).Enrich(in, failing{trouble}); !errors.Is(err, trouble) {
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A member that is null is not set: it is no label and no id, and a label takes its
// place. Each key stands there once.
func TestNull(t *testing.T) {
	for name, test := range map[string]struct {
		in, want string // want begins what comes out; "": as it went in
		stats    Stats
	}{
		"Zeek's columns": {
			`{"uid":"CHhAvVGS1DHFjwGM9","ml_label":null,"ml_score":null , "x":1,"ml_reason":null}`,
			`{"uid":"CHhAvVGS1DHFjwGM9", "x":1,"ml_label":"camera",`, Stats{Rows: 1, ByID: 1},
		},
		"all before the id": {`{"ml_label":null, "uid":"CHhAvVGS1DHFjwGM9"}`, `{ "uid":"CHhAvVGS1DHFjwGM9","ml_label":"camera"`, Stats{Rows: 1, ByID: 1}},
		"columns of none":   {`{"uid":"CHhAvVGS1DHFjwGM9","ml_stage":"old"}`, `{"uid":"CHhAvVGS1DHFjwGM9","ml_label":"camera"`, Stats{Rows: 1, ByID: 1}},
		"EVE":               {`{"serveflow":null,"flow_id":1125899906842624}`, `{"flow_id":1125899906842624,"serveflow":{"label":`, Stats{Rows: 1, ByID: 1}},
		"unmatched":         {`{"flow_id":1,"serveflow":null}`, "", Stats{Rows: 1, Unmatched: 1}},
		"no id":             {`{"uid":null,"ts":1700000000.0}`, "", Stats{Other: 1}},
		"no flow id":        {`{"event_type":"stats","flow_id":null}`, "", Stats{Other: 1}},
		"a label":           {`{"uid":"CHhAvVGS1DHFjwGM9","ml_label":"hub"}`, "", Stats{Rows: 1, Labelled: 1}},
	} {
		got, stats := enrich(t, test.in)
		if stats != test.stats {
			t.Errorf("%s: %+v", name, stats)
		}
		if test.want == "" && got != test.in || !strings.HasPrefix(got, test.want) || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Count(got, `"ml_label"`) > 1 || strings.Count(got, `"serveflow"`) > 1 {
			t.Errorf("%s: a key stands there twice: %s", name, got)
		}
	}
	// A decision on no flow is none.
	l, err := Load(strings.NewReader(`{"flow":null,"label":"x"}` + "\n" + `{"flow":1,"label":"x"}`))
	if err != nil || l.Len() != 1 || l.Broken() != 1 {
		t.Errorf("%v, %d decisions", err, l.Len())
	}
}

// Logs of both formats in one file, in either order.
func TestFormatsInOneFile(t *testing.T) {
	const tsv = "#separator \\x09\n#fields\tuid\nCHhAvVGS1DHFjwGM9\n#close\tx\n"
	for _, in := range []string{tsv + hit + "\n" + miss + "\n", hit + "\n" + miss + "\n" + tsv} {
		out, stats := enrich(t, in)
		if stats != (Stats{Rows: 3, ByID: 2, Unmatched: 1}) {
			t.Errorf("%+v\n%s", stats, out)
		}
	}
}

// A number of packets is a count, to Zeek, whatever a label log says.
func TestStrangePackets(t *testing.T) {
	for packets, want := range map[string]string{"-5": "0", "99999999999999999999": "2147483647", "1e3": "0", "7": "7"} {
		l, err := Load(strings.NewReader(`{"flow":"C1","label":"x","packets":` + packets + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if _, err := l.Enrich(strings.NewReader(`{"uid":"C1"}`), &out); err != nil || !strings.Contains(out.String(), `"ml_pkts":`+want+`,`) {
			t.Errorf("%s: %s, %v", packets, &out, err)
		}
	}
}
