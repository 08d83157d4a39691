package eve

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/enrich"
	"serveflow/sidecar/tap/wire"
)

// splicer is a sink without connections, in which no record waits.
func splicer(t testing.TB) *Sink {
	t.Helper()
	r := start(t, func(o *Options) { o.Wait = 0 })
	return r.Sink
}

// through gives input to a reader and returns what it writes.
func (s *Sink) through(in io.Reader) (out []byte, torn uint64) {
	r := newReader(s, in)
	r.add = func(lines []byte, _ int64) { out = append(out, lines...) }
	r.run()
	return out, r.torn
}

// FuzzReader: whatever comes, in whatever pieces, what is written are whole
// lines: records as they came or with the label of their flow, in order, and
// lines that are no records.
func FuzzReader(f *testing.F) {
	log, err := os.ReadFile("../enrich/testdata/eve.log")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log)
	f.Add([]byte(flowRecord(1) + "\n" + alert(1)[:40] + alert(2) + "\r\n" + stats))
	f.Add([]byte(alert(1) + alert(1) + "\n{\n\n x\n{}"))
	s := splicer(f)
	s.Write([]decision.Record{decided(1), decided(1 << 50)})
	f.Fuzz(func(t *testing.T, in []byte) {
		out, _ := s.through(bytes.NewReader(in))
		if again, _ := s.through(iotest.OneByteReader(bytes.NewReader(in))); !bytes.Equal(out, again) {
			t.Fatalf("in pieces %q becomes %q, else %q", in, again, out)
		}
		at := 0 // how much of the input has been found again
		for line := range bytes.Lines(out) {
			body, ok := bytes.CutSuffix(line, []byte("\n"))
			if !ok {
				t.Fatalf("%q has no end", line)
			}
			for _, added := range []string{object(1), object(1 << 50), short} {
				if before, after, ok := bytes.Cut(body, []byte(added)); ok && !bytes.Contains(in, body) {
					if !json.Valid(body) {
						t.Fatalf("%q is no JSON", body)
					}
					body = append(bytes.Clone(before), after...)
				}
			}
			i := bytes.Index(in[at:], body)
			if i < 0 {
				t.Fatalf("%q was written of %q", line, in)
			}
			at += i + len(body)
		}
	})
}

// What enrich makes of a log by flow id alone, the sink makes of it.
func TestAgreesWithEnrich(t *testing.T) {
	log, err := os.ReadFile("../enrich/testdata/eve.log")
	if err != nil {
		t.Fatal(err)
	}
	s := splicer(t)
	for line := range strings.Lines(string(log)) {
		var r record
		if !valid([]byte(line)) {
			continue
		}
		if r.read([]byte(line)); !r.hasFlow {
			continue
		}
		d := decided(r.flow)
		d.Start = begun + 300_000_000
		d.Flow = wire.UintID(r.flow)
		s.Write([]decision.Record{d})
		var want bytes.Buffer
		labels, err := enrich.Load(bytes.NewReader(d.Append(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := labels.Enrich(strings.NewReader(line), &want); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.through(strings.NewReader(line)); string(got) != want.String() {
			t.Errorf("got  %swant %s", got, want.String())
		}
	}
}

// BenchmarkRecords is a record's way from the socket to the output's buffer:
// found valid, read, looked up, and written with its label.
func BenchmarkRecords(b *testing.B) {
	s := splicer(b)
	s.Write([]decision.Record{decided(1)})
	for name, record := range map[string]string{
		"flow": flowRecord(1), "alert": alert(1),
		"http_1KiB": `{"timestamp":"2023-11-14T22:13:20.100000+0000","flow_id":1,"event_type":"http","http":{"url":"` + strings.Repeat("/path", 190) + `"}}`,
	} {
		b.Run(name, func(b *testing.B) {
			lines := bytes.Repeat([]byte(record+"\n"), 1000)
			r := newReader(s, nil)
			r.add = func([]byte, int64) {}
			b.SetBytes(int64(len(record) + 1))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				from := n % 1000 * (len(record) + 1)
				r.handleLine(lines[from : from+len(record)+1])
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkWrite is what a decision costs the shard that hands it over.
func BenchmarkWrite(b *testing.B) {
	s := splicer(b)
	var records []decision.Record
	for id := range uint64(64) {
		records = append(records, decided(id))
	}
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		for i := range records {
			records[i].Flow = wire.UintID(n)
			n++
		}
		s.Write(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/decision")
}
