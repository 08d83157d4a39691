package extract

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"serveflow/models/dataset"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
)

var seqSpec = feature.Spec{Packets: 3, Sections: []string{"seq"}, Masks: feature.MaskAll}

// readTable reads a Parquet file: names of columns and rows of values.
func readTable(tb testing.TB, path string) (columns []string, rows []parquet.Row, metadata string) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range file.Schema().Columns() {
		columns = append(columns, c[0])
	}
	r := parquet.NewReader(file)
	for {
		buffer := make([]parquet.Row, 100)
		n, err := r.ReadRows(buffer)
		for _, row := range buffer[:n] {
			rows = append(rows, row.Clone())
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	metadata, _ = file.Lookup(metadataKey)
	return columns, rows, metadata
}

// listed are the captures of a manifest.
func listed(tb testing.TB, manifest string) []dataset.Capture {
	tb.Helper()
	list, err := dataset.Read(manifest, "class", nil)
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// text renders chosen columns of a row.
func text(columns []string, row parquet.Row, want ...string) string {
	var words []string
	for _, name := range want {
		words = append(words, row[slices.Index(columns, name)].String())
	}
	return strings.Join(words, " ")
}

func TestRun(t *testing.T) {
	one, two := newCaptureFile(), newCaptureFile()
	one.exchange(1_000_000, 50000)
	one.udp(1_500_000, true, 68, 67, 300)
	two.exchange(5_000_000, 50001)
	two.udp(5_000_500, true, 50001, 53, 1)
	manifest := dataSet(t, "\ufeffsplit,class,file,notes\ntrain,lamp,pcap/one.pcap,\"a, b\"\ntest,plug,pcap/two.pcap,\n",
		map[string]*captureFile{"one.pcap": one, "two.pcap": two})
	output := filepath.Join(t.TempDir(), "flows.parquet")
	var progress []int
	stats, err := Run(context.Background(), Options{
		Captures: listed(t, manifest), Spec: seqSpec, Output: output,
		Progress: func(done, total int) { progress = append(progress, done, total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Rows != 3 || stats.Columns != len(seqSpec.Columns()) || len(stats.Captures) != 2 ||
		stats.Captures[0].File != "pcap/one.pcap" || stats.Captures[0].Counts.Packets != 4 || stats.Captures[1].Counts.Flows != 1 {
		t.Errorf("stats %+v", stats)
	}
	if !slices.Equal(progress, []int{1, 2, 2, 2}) {
		t.Errorf("progress %v", progress)
	}

	columns, rows, metadata := readTable(t, output)
	head := strings.Fields("file split source label flow start_us packets wait_1 wait_2 wait_3")
	if want := append(head, seqSpec.Columns()...); !slices.Equal(columns, want) {
		t.Errorf("columns %v, want %v", columns, want)
	}
	if want := `{"packets":3,"sections":["seq"],"masks":["addresses","checksums","identifiers","tcp_sequence","tcp_timestamps","ephemeral_ports"],"events":"packet"}`; metadata != want {
		t.Errorf("metadata %s", metadata)
	}
	want := []string{
		"pcap/one.pcap train  lamp 1 1000000 3 0 7 1000 30 -100 40 0 17 53 3 58",
		"pcap/one.pcap train  lamp 2 1500000 1 0 -1 -1 300 -65536 -65536 -1 17 67 -1 328",
		"pcap/two.pcap test  plug 1 5000000 4 0 7 1000 30 -100 40 0 17 53 3 58",
	}
	for i, row := range rows {
		got := text(columns, row, append(head, "p1_payload", "p2_payload", "p3_payload", "p3_dir", "proto", "resp_port", "p2_gap", "p1_len")...)
		if i >= len(want) || got != want[i] {
			t.Errorf("row %d: %s", i, got)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("output %v, %v", info.Mode(), err)
	}
}

// Every value of every column is what package feature says of the packets.
func TestValues(t *testing.T) {
	c := newCaptureFile()
	c.exchange(1_000_000, 50000)
	manifest := dataSet(t, "file,split,class\npcap/c.pcap,train,lamp\n", map[string]*captureFile{"c.pcap": c})
	for _, spec := range []feature.Spec{
		{Packets: 2, Sections: []string{"ipv4", "tcp", "udp", "ipv6", "icmp", "seq"}},
		{Packets: 2, Sections: []string{"udp", "ipv4"}, Masks: feature.MaskAll},
		{Packets: 4, Sections: []string{"seq"}, Masks: feature.MaskAll, NoHeaders: true},
	} {
		output := filepath.Join(t.TempDir(), "flows.parquet")
		if _, err := Run(context.Background(), Options{Captures: listed(t, manifest), Spec: spec, Output: output}); err != nil {
			t.Fatal(err)
		}
		plan, err := feature.Compile(spec.Columns(), spec.Masks)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, plan.Width())
		plan.Encode(want, packetsOf(t, filepath.Join(filepath.Dir(manifest), "pcap/c.pcap"), spec.NoHeaders))
		columns, rows, _ := readTable(t, output)
		first := len(columns) - len(want)
		for i, name := range spec.Columns() {
			v := rows[0][first+i]
			got := v.Float()
			if feature.IsBit(name) {
				got = float32(v.Int32())
			}
			if columns[first+i] != name || got != want[i] {
				t.Errorf("%s is %v in the table, %s is %v", columns[first+i], got, name, want[i])
			}
		}
	}
}

func packetsOf(t *testing.T, path string, meta bool) []packet.Packet {
	t.Helper()
	src, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var packets []packet.Packet
	var rec replay.Record
	for src.Next(&rec) == nil {
		var h packet.Headers
		if err := packet.Parse(&h, rec.Link, rec.Frame); err != nil {
			t.Fatal(err)
		}
		dir := packet.Originator
		if h.Tuple.SrcPort == 53 {
			dir = packet.Responder
		}
		var p packet.Packet
		if meta {
			p.SetMeta(h.Tuple, rec.Time, dir, h.Payload)
		} else {
			p.SetFrame(&h, rec.Frame, rec.Time, dir)
		}
		packets = append(packets, p)
	}
	return packets
}

// Rows come in the order of the captures, whoever is first.
func TestOrder(t *testing.T) {
	const files, flows = 12, 400 // more than a row group
	manifest := manyCaptures(t, files, flows)
	output := filepath.Join(t.TempDir(), "flows.parquet")
	spec := feature.Spec{Packets: 1, Sections: []string{"seq"}}
	stats, err := Run(context.Background(), Options{Captures: listed(t, manifest), Spec: spec, Output: output})
	if err != nil || stats.Rows != files*flows {
		t.Fatalf("%d rows, %v", stats.Rows, err)
	}
	_, rows, _ := readTable(t, output)
	for i, row := range rows {
		if want := int64(i%flows + 1); row[4].Int64() != want || row[5].Int64() != int64(i/flows*1e6+(i%flows)*10_000) {
			t.Fatalf("row %d: flow %d of %s", i, row[4].Int64(), row[0])
		}
	}
	if len(rows) != stats.Rows {
		t.Errorf("%d rows in the table, %d in the statistics", len(rows), stats.Rows)
	}
}

func TestCutCapture(t *testing.T) {
	c := newCaptureFile()
	c.exchange(0, 50000)
	c.exchange(2_000_000, 50001)
	c.Truncate(c.Len() - 10)
	manifest := dataSet(t, "file,split,class\npcap/cut,train,x\n", map[string]*captureFile{"cut": c})
	stats, err := Run(context.Background(), Options{
		Captures: listed(t, manifest), Spec: seqSpec, Output: filepath.Join(t.TempDir(), "o"),
	})
	if err != nil || stats.Rows != 2 || !errors.Is(stats.Captures[0].Cut, io.ErrUnexpectedEOF) {
		t.Errorf("%+v, %v", stats, err)
	}
}

// A capture that cannot be read is left out, and said to be.
func TestUnreadCaptures(t *testing.T) {
	good, bad := newCaptureFile(), &captureFile{}
	good.exchange(0, 50000)
	bad.WriteString("this is no capture at all")
	manifest := dataSet(t, "file,split,class\npcap/none,train,x\npcap/good,train,x\npcap/bad,train,x\n", map[string]*captureFile{"good": good, "bad": bad})
	stats, err := Run(context.Background(), Options{
		Captures: listed(t, manifest), Spec: seqSpec, Output: filepath.Join(t.TempDir(), "o"),
	})
	if err != nil || stats.Rows != 1 || len(stats.Captures) != 3 {
		t.Fatalf("%+v, %v", stats, err)
	}
	for i, want := range []string{"pcap/none: no such file", "", "pcap/bad: not a capture"} {
		got := ""
		if why := stats.Captures[i].Unread; why != nil {
			got = why.Error()
		}
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("capture %d: %q, want %q", i, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	good := newCaptureFile()
	good.exchange(0, 50000)
	bad := &captureFile{}
	bad.WriteString("this is no capture at all")
	files := map[string]*captureFile{"good": good, "bad": bad}
	for _, c := range []struct {
		name, manifest string
		change         func(*Options)
		want           string // part of the error
	}{
		{"no capture that can be read", "file,split,class\npcap/bad,train,x\n", nil, "no flow has a label"},
		{"spec", "file,split,class\npcap/good,train,x\n", func(o *Options) { o.Spec.Packets = 0 }, "features: 0 packets"},
		{"output", "file,split,class\npcap/good,train,x\n", func(o *Options) { o.Output = filepath.Join(o.Output, "none", "x") }, "create "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			o := Options{
				Captures: listed(t, dataSet(t, c.manifest, files)), Spec: seqSpec, Output: filepath.Join(dir, "flows.parquet"),
			}
			if c.change != nil {
				c.change(&o)
			}
			_, err := Run(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	manifest := manyCaptures(t, 12, 400)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, Options{
		Captures: listed(t, manifest), Spec: seqSpec, Output: filepath.Join(dir, "o"),
		Progress: func(done, total int) {
			if done == 3 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files left: %v", left)
	}
}

func BenchmarkRun(b *testing.B) {
	manifest := manyCaptures(b, 4, 1000)
	spec := feature.Spec{Packets: 10, Sections: []string{"ipv4", "tcp", "udp", "seq"}, Masks: feature.MaskAll}
	output := filepath.Join(b.TempDir(), "flows.parquet")
	rows := 0
	for b.Loop() {
		stats, err := Run(context.Background(), Options{Captures: listed(b, manifest), Spec: spec, Output: output})
		if err != nil {
			b.Fatal(err)
		}
		rows += stats.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "flows/s")
}
