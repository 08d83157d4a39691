package eve

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

const begun = 1_700_000_000_000_000 // when flows start

// decided is the decision on a flow.
func decided(id uint64) decision.Record {
	return decision.Record{
		Start: begun, Sensor: "s", Flow: wire.UintID(id), Label: "camera", Score: .75, Margin: .5, Stage: "first",
		Packets: 3, LatencyUS: int64(id), Model: "toy@1.0.0", Reason: "accepted",
	}
}

// object is what the decision adds to the record of its flow.
func object(id uint64) string {
	r := decided(id)
	w := decision.NewWords(&r)
	return string(decision.AppendEVE(nil, &w, r.Score, r.Margin, r.Packets, r.LatencyUS, decision.NotKnown))
}

// short is what the decision adds to other records.
const short = `,"serveflow":{"label":"camera","score":0.75}`

// flowRecord is the record that ends a flow of four packets.
func flowRecord(id uint64) string {
	return fmt.Sprintf(`{"timestamp":"2023-11-14T22:13:30.000000+0000","flow_id":%d,"event_type":"flow","proto":"TCP",`+
		`"flow":{"pkts_toserver":3,"pkts_toclient":1,"start":"2023-11-14T22:13:20.000000+0000","end":"2023-11-14T22:13:21.500000+0000"}}`, id)
}

func alert(id uint64) string {
	return fmt.Sprintf(`{"timestamp":"2023-11-14T22:13:20.100000+0000","flow_id":%d,"event_type":"alert","alert":{"signature":"}\" {\"timestamp\":"}}`, id)
}

const stats = `{"timestamp":"2023-11-14T22:13:20.100000+0000","event_type":"stats","stats":{"uptime":5}}`

// with is a record with the label of its flow.
func with(record string, id uint64) string {
	if strings.Contains(record, `"event_type":"flow"`) || strings.Contains(record, `"event_type":"netflow"`) {
		return record[:len(record)-1] + object(id) + "}"
	}
	return record[:len(record)-1] + short + "}"
}

// rig is a sink under test and the shards that it tells.
type rig struct {
	*Sink
	t       testing.TB
	options Options
	out     string
	stopped bool

	mu      sync.Mutex
	taps    int
	capture bool
	closed  []flow.Event
	decide  func(flow.Event) // on EndReported
}

func (r *rig) Taps(sensor string) (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sensor != "s" {
		r.t.Errorf("asked about the sensor %q", sensor)
	}
	return r.taps, r.capture
}

func (r *rig) EndReported(sensor string, events []flow.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sensor != "s" {
		r.t.Errorf("the sensor %q was reported", sensor)
	}
	r.closed = append(r.closed, events...)
	for _, e := range events {
		if r.decide != nil {
			r.decide(e)
		}
	}
}

// endReports is how often a flow's end was reported: that it had its packets,
// and to decide on what there is.
func (r *rig) endReports(id uint64) (patient, final int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.closed {
		switch {
		case e.ID != wire.UintID(id):
		case e.Kind != flow.EndReported || e.Time != begun+1_500_000:
			r.t.Errorf("reported: %+v", e)
		case e.Index() == 4:
			patient++
		case e.Index() == 0:
			final++
		}
	}
	return patient, final
}

func start(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, out: filepath.Join(dir, "eve.json"), taps: 1}
	r.options = Options{
		Socket: unixsocket.Socket{Path: filepath.Join(dir, "eve.sock"), Mode: 0o600},
		Sensor: "s", Output: r.out, Wait: 20 * time.Second, MaxWaiting: 1000, MaxLabels: 1000,
		Log: zerolog.Nop(), Metrics: telemetry.New(telemetry.Options{}),
	}
	if change != nil {
		change(&r.options)
	}
	var err error
	if r.Sink, err = New(r.options); err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

func (r *rig) end() {
	if r.stopped {
		return
	}
	r.stopped = true
	if err := r.Stop(); err != nil {
		r.t.Error(err)
	}
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("unix", r.options.Socket.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// send sends lines over a connection of their own.
func (r *rig) send(lines ...string) {
	r.t.Helper()
	conn := r.dial()
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) put(ids ...uint64) {
	for _, id := range ids {
		r.Write([]decision.Record{decided(id)})
	}
}

// lines are those of the output so far.
func (r *rig) lines() []string {
	r.t.Helper()
	b, err := os.ReadFile(r.out)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// want waits until so many lines are written as are wanted, and compares them.
func (r *rig) want(want ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d lines", len(want)), func() bool { return len(r.lines()) >= len(want) })
	if got := r.lines(); !slices.Equal(got, want) {
		r.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (r *rig) until(what string, so func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not yet: %s; %d lines: %s", what, len(r.lines()), r.lines())
		}
	}
}

// Every kind of line, and what becomes of it.
func TestLines(t *testing.T) {
	for _, test := range []struct {
		name, in, want string
	}{
		{"a flow with a label", flowRecord(1), with(flowRecord(1), 1)},
		{"an alert with a label", alert(1), with(alert(1), 1)},
		{"an alert without", alert(99), alert(99)},
		{"of no flow", stats, stats},
		{"a record of one of a flow's directions", `{"flow_id":1,"event_type":"netflow"}`, `{"flow_id":1,"event_type":"netflow"` + object(1) + `}`},
		{"a flow's record in other words", `{"flow_id":1,"event_type":"net\u0066low"}`, `{"flow_id":1,"event_type":"net\u0066low"` + object(1) + `}`},
		{"spaces", ` {"flow_id" : 1 , "event_type":"dns" } `, ` {"flow_id" : 1 , "event_type":"dns" ` + short + `} `},
		{"any bytes between", `{"a":"\u0000ü` + "\xff" + `","flow_id":1}`, `{"a":"\u0000ü` + "\xff" + `","flow_id":1` + short + `}`},
		{"not labelled", `{"serveflow":null,"flow_id":1}`, `{"flow_id":1` + short + `}`},
		{"labelled before", `{"flow_id":1,"serveflow":{"label":"x"}}`, `{"flow_id":1,"serveflow":{"label":"x"}}`},
		{"an inner flow_id", `{"x":{"flow_id":1}}`, `{"x":{"flow_id":1}}`},
		{"no number", `{"flow_id":"1"}`, `{"flow_id":"1"}`},
		{"a number that is too large", `{"flow_id":18446744073709551617}`, `{"flow_id":18446744073709551617}`},
		{"another flow of that id, later", `{"flow_id":1,"flow":{"start":"2023-11-14T22:13:23.000000+0000"}}`, `{"flow_id":1,"flow":{"start":"2023-11-14T22:13:23.000000+0000"}}`},
		{"a start that is no time", `{"flow_id":1,"flow":{"start":7}}`, `{"flow_id":1,"flow":{"start":7}` + short + `}`},
		{"a flow that is none", `{"flow_id":1,"flow":[1]}`, `{"flow_id":1,"flow":[1]` + short + `}`},
		{"no record", `@cee: {"flow_id":1}`, `@cee: {"flow_id":1}`},
		{"an empty line", ``, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil)
			r.put(1)
			r.send(test.in, stats)
			r.want(test.want, stats)
			if json.Valid([]byte(test.in)) && !json.Valid([]byte(test.want)) {
				t.Error("the test wants no JSON")
			}
		})
	}
}

// Ends of lines stay as they are.
func TestLineEnds(t *testing.T) {
	r := start(t, nil)
	r.put(1)
	r.send(alert(1)+"\r", alert(2)+"\r")
	r.want(with(alert(1), 1)+"\r", alert(2)+"\r")
}

// Records of other sensors' flows are not ours.
func TestSensor(t *testing.T) {
	r := start(t, nil)
	other := decided(1)
	other.Sensor = "other"
	text := decided(2)
	text.Flow, _ = wire.StringID("2")
	r.Write([]decision.Record{other, text})
	r.send(alert(1), alert(2), alert(0))
	r.want(alert(1), alert(2), alert(0))
}

// The counters say what became of each record.
func TestCounters(t *testing.T) {
	r := start(t, func(o *Options) { o.Wait = 100 * time.Millisecond })
	r.put(1)
	r.send(flowRecord(1), alert(1), alert(2), flowRecord(2), stats, `{"timestamp":"2023`, "no record")
	r.until("the record that waits", func() bool { return len(r.lines()) == 6 })
	r.end()
	got := map[string]string{}
	for _, line := range strings.Split(r.scrape(), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "serveflow_eve_") {
			got[name] = value
		}
	}
	for name, want := range map[string]string{
		`serveflow_eve_records_total{result="enriched"}`:         "2",
		`serveflow_eve_records_total{result="no_label"}`:         "2",
		`serveflow_eve_records_total{result="other"}`:            "2",
		`serveflow_eve_records_total{result="torn"}`:             "1",
		`serveflow_eve_records_total{result="too_long"}`:         "0",
		`serveflow_eve_output_records_total{result="forwarded"}`: "6",
		`serveflow_eve_output_records_total{result="dropped"}`:   "0",
		`serveflow_eve_waited_total`:                             "1",
		`serveflow_eve_waiting`:                                  "0",
	} {
		if got[name] != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
}

// A record that is cut at any byte, by the end of its connection or by the
// next record, is dropped; the next one is whole.
func TestTorn(t *testing.T) {
	first, next := alert(1), flowRecord(2)
	var sent, want []string
	r := start(t, nil)
	r.put(1, 2)
	for cut := range len(first) + 1 {
		whole := cut == len(first)
		for _, glued := range []bool{true, false} {
			if whole {
				want = append(want, with(first, 1))
			}
			want = append(want, with(next, 2))
			if glued {
				sent = append(sent, first[:cut]+next)
				continue
			}
			conn := r.dial()
			fmt.Fprint(conn, first[:cut])
			conn.Close()
			sent = append(sent, next)
		}
	}
	// Several, and one whose next has been cut as well.
	sent = append(sent, first[:20]+first[:40]+next, first[:20]+next[:20]+first[:50], next)
	want = append(want, with(next, 2), with(next, 2))
	r.send(sent...)
	r.until("all lines", func() bool { return len(r.lines()) >= len(want) })
	r.end()
	got := r.lines()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
		for _, line := range got {
			if !slices.Contains(want, line) {
				t.Errorf("got %q", line)
			}
		}
	}
}

// Many connections at once, records of every size, some of them too long:
// nothing is lost, torn or mixed up.
func TestConnections(t *testing.T) {
	const connections = 8
	r := start(t, nil)
	var want []string
	var wg sync.WaitGroup
	for c := range connections {
		var lines []string
		for i := range 200 {
			id := uint64(1000*c + i)
			record := fmt.Sprintf(`{"timestamp":"x","flow_id":%d,"payload":%q}`, id, strings.Repeat("x", 1<<(i%12)+i))
			lines = append(lines, record)
			if i%2 == 0 {
				r.put(id)
				record = with(record, id)
			}
			want = append(want, record)
		}
		long := fmt.Sprintf(`{"timestamp":"x","flow_id":%d,"payload":%q}`, 1000*c, strings.Repeat("x", 1<<20))
		lines = append(lines, long)
		want = append(want, with(long, uint64(1000*c)))
		if c == 0 {
			lines = append(lines, `{"timestamp":"`+strings.Repeat("x", 17<<20)+`"}`)
		}
		lines = append(lines, stats)
		want = append(want, stats)
		wg.Go(func() { r.send(lines...) })
	}
	wg.Wait()
	r.end()
	got := r.lines()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines that are not those wanted, %d", len(got), len(want))
	}
	if !strings.Contains(r.scrape(), `serveflow_eve_records_total{result="too_long"} 1`) {
		t.Error("the long record was not counted")
	}
}

// What Suricata has sent when the sink is stopped is written; what waits is
// written with the labels that come until then.
func TestStop(t *testing.T) {
	r := start(t, nil)
	conn := r.dial()
	var want []string
	for id := range uint64(500) {
		fmt.Fprintln(conn, flowRecord(id+1))
		want = append(want, flowRecord(id+1))
	}
	r.until("records that wait", func() bool { return r.Waiting() > 0 })
	r.stopped = true
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, final := r.endReports(500); final != 1 {
		t.Errorf("%d final end reports", final)
	}
	r.put(7)
	want[6] = with(want[6], 7)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got := r.lines()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
}

func (r *rig) scrape() string {
	w := httptest.NewRecorder()
	r.options.Metrics.Handler(func() error { return nil }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}
