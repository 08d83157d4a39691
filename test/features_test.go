package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/rs/zerolog"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model/modeltest"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
)

var spec = feature.Spec{
	Packets:  10,
	Sections: []string{"ipv4", "ipv6", "tcp", "udp", "icmp", "seq"},
	Masks:    feature.MaskAll,
}

// TestTrainingAndServingSeeTheSame compares, value by value, what extract
// writes for training with what a model is asked about in serving, over the
// socket.
func TestTrainingAndServingSeeTheSame(t *testing.T) {
	files := captureFiles(t)
	for _, meta := range []bool{false, true} {
		s := spec
		s.NoHeaders = meta
		columns := s.Columns()
		offline := extracted(t, files, s, columns)
		for i, path := range files {
			t.Run(fmt.Sprintf("%s/meta=%v", filepath.Base(path), meta), func(t *testing.T) {
				served := served(t, path, columns, meta)
				if len(served) != len(offline[i]) {
					t.Fatalf("%d flows served, %d extracted", len(served), len(offline[i]))
				}
				for flow, want := range offline[i] {
					got, ok := served[flow]
					if !ok {
						t.Fatalf("flow %d was not served", flow)
					}
					if silent := silent(columns, want); silent != (got == nil) {
						t.Fatalf("flow %d: silent %v as extracted, %v as served", flow, silent, got == nil)
					}
					if got == nil {
						continue // no model is asked about silence
					}
					for c, name := range columns {
						if math.Float32bits(got[c]) != math.Float32bits(want[c]) {
							t.Errorf("flow %d, %s: served %v, extracted %v", flow, name, got[c], want[c])
						}
					}
				}
			})
		}
	}
}

// silent says that the row is of a flow of TCP or UDP that ends before the model's
// packets are there, and before one of them has carried payload.
func silent(columns []string, row []float32) bool {
	at := func(name string) float32 { return row[slices.Index(columns, name)] }
	proto := uint8(at("proto"))
	for p := 1; p <= spec.Packets && (proto == packet.TCP || proto == packet.UDP); p++ {
		if at(fmt.Sprintf("p%d_dir", p)) == feature.Missing {
			return true
		}
		if at(fmt.Sprintf("p%d_payload", p)) != 0 {
			return false
		}
	}
	return false
}

// captureFiles are the captures of the repository that hold flows, and with
// the data folder one of each of a few devices.
func captureFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("captures", func(path string, d os.DirEntry, err error) error {
		if strings.HasPrefix(path, "captures/lab") && !strings.Contains(path, "-0000-") {
			return err // one of each label is enough
		}
		if strings.Contains(filepath.Base(path), ".pcap") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no captures")
	}
	for _, device := range []string{"Aria", "HueBridge", "Withings"} {
		found, err := filepath.Glob(filepath.Join(dataFolder(), "iot-device", "pcap", device+"__*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Logf("SKIP: no captures of %s in %s", device, dataFolder())
			continue
		}
		files = append(files, found[0])
	}
	return files
}

// extracted is the rows that extract writes of each capture, by flow.
func extracted(t *testing.T, files []string, s feature.Spec, columns []string) []map[uint64][]float32 {
	t.Helper()
	dir := t.TempDir()
	manifest, table := filepath.Join(dir, "manifest.csv"), filepath.Join(dir, "flows.parquet")
	list := "file,class,split\n"
	for i, path := range files {
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(absolute, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintf("%d,x,train\n", i)
	}
	if err := os.WriteFile(manifest, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := dataset.Read(manifest, "class", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := extract.Run(context.Background(), extract.Options{Captures: read, Spec: s, Output: table}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, c := range file.Schema().Columns() {
		at[c[0]] = i
	}
	rows := make([]map[uint64][]float32, len(files))
	for i := range rows {
		rows[i] = map[uint64][]float32{}
	}
	for _, group := range file.RowGroups() {
		r := group.Rows()
		defer r.Close()
		buf := make([]parquet.Row, 1)
		for {
			n, err := r.ReadRows(buf)
			if n == 1 {
				row := make([]float32, len(columns))
				for i, name := range columns {
					row[i] = number(buf[0][at[name]])
				}
				capture, atoiErr := strconv.Atoi(buf[0][at["file"]].String())
				if atoiErr != nil {
					t.Fatal(atoiErr)
				}
				rows[capture][uint64(buf[0][at["flow"]].Int64())] = row
			}
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	return rows
}

func number(v parquet.Value) float32 {
	if v.Kind() == parquet.Float {
		return v.Float()
	}
	return float32(v.Int32())
}

// recorder is a model that keeps the rows it is asked about, and a log that
// says which flows they were of: with one shard, in the same order.
type recorder struct {
	mu      sync.Mutex
	rows    [][]float32
	decided []decision.Record
}

func (r *recorder) Write(records []decision.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decided = append(r.decided, records...)
}

// served is the rows that a model is asked about, by flow; nil of a silent one.
func served(t *testing.T, path string, columns []string, meta bool) map[uint64][]float32 {
	t.Helper()
	rec := &recorder{}
	m := modeltest.Sure(1, 2, columns...)
	m.Answer = func(probs, row []float32) error {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.rows = append(rec.rows, append([]float32(nil), row...))
		probs[0], probs[1] = 1, 0
		return nil
	}
	plan, err := feature.Compile(columns, feature.MaskAll)
	if err != nil {
		t.Fatal(err)
	}
	only, err := cascade.New([]string{"x", "y"}, []cascade.Stage{{Name: "only", Packets: spec.Packets, Plan: plan, Model: m, Thresholds: []float32{0}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle.Bundle{Manifest: &bundle.Manifest{Name: "recorder", Version: "1.0.0", Labels: only.Labels}}
	if meta {
		b.Meta = only
	} else {
		b.Packet = only
	}
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	c.Flow.Shards = 1
	c.Flow.IdleTimeout = 1 << 50 // flows are decided by their packets and their end alone
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: b, Log: zerolog.Nop(), Decisions: rec})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	rec.rows = nil // what it was asked while the sidecar warmed up
	nothing := func(*replay.Labelled) error { return nil }
	if _, err := replay.LabelFile(context.Background(), c.Listen.Socket, path, replay.TapOptions{Capture: true, Meta: meta}, replay.Options{}, nothing); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	rows := map[uint64][]float32{}
	asked := 0
	for _, d := range rec.decided {
		if d.Reason == cascade.Silent.String() {
			rows[d.Flow.Uint()] = nil
			continue
		}
		if asked < len(rec.rows) {
			rows[d.Flow.Uint()] = rec.rows[asked]
		}
		asked++
	}
	if len(rec.rows) != asked {
		t.Fatalf("the model was asked %d times for %d flows that are not silent", len(rec.rows), asked)
	}
	return rows
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// dataFolder is where labelled captures are that the project does not ship.
func dataFolder() string {
	if dir := os.Getenv("SERVEFLOW_DATA"); dir != "" {
		return dir
	}
	return filepath.Join(root, "..", "shared", "data")
}
