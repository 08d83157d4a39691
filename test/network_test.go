package test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"serveflow/models"
	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/onnx"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
)

type nowhere struct{}

func (nowhere) Write([]decision.Record) {}

// withNetwork is the bundle that ships with a network as its last stage, which
// is asked in batches. It skips the test where ONNX Runtime is missing.
func withNetwork(t *testing.T) *bundle.Bundle {
	t.Helper()
	shipped, err := models.Open("iot-device")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	err = fs.WalkDir(shipped, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(shipped, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text := string(files[bundle.ManifestFile].Data)
	cut := strings.LastIndex(text[:strings.Index(text, "[[meta.stage]]")], "[[packet.stage]]")
	if cut < 0 {
		t.Fatal("the manifest has no cascade for headers before the one without")
	}
	replaced := regexp.MustCompile(`(?m)^model = "(.*)"$`).FindStringSubmatch(text[cut:])[1]
	rest := regexp.MustCompile(`(?m)^"?`+regexp.QuoteMeta(replaced)+`(\.golden\.json)?"? = .*\n`).ReplaceAllString(text[strings.Index(text, "[[meta.stage]]"):], "")
	files[bundle.ManifestFile] = &fstest.MapFile{Data: []byte(text[:cut] + `[[packet.stage]]
name = "network"
packets = 10
model = "net10.onnx"
kind = "onnx"
confidence = "max_probability"
thresholds = [0.0]

` + rest + "\n")}
	for _, name := range []string{"net10.onnx", "net10.onnx.golden.json"} {
		data, err := os.ReadFile(filepath.Join("bundle", "network", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
		manifest := files[bundle.ManifestFile] // which ends with the files
		manifest.Data = fmt.Appendf(manifest.Data, "%q = %q\n", name, bundle.Digest(data))
	}
	o := bundle.Options{Batch: 16}
	if path, err := filepath.Abs(filepath.Join(root, "build", "onnxruntime", "libonnxruntime.so")); err == nil && exists(path) {
		o.Library = path // where "make deps" puts it
	}
	b, err := bundle.Load(files, o)
	if errors.Is(err, onnx.ErrLibrary) || errors.Is(err, onnx.ErrNoCgo) {
		t.Skipf("SKIP: ONNX Runtime is not here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNetworkAsLastStage plays captures to a cascade whose last stage is a
// network that answers in batches: every flow is decided, and the same way in
// every run.
func TestNetworkAsLastStage(t *testing.T) {
	b := withNetwork(t)
	defer b.Close()
	first := labels(t, b)
	asked := 0
	for flow, l := range first {
		if l.Reason == "" {
			t.Errorf("%s has no decision", flow)
		}
		if l.Stage == "network" {
			asked++
		}
	}
	if asked == 0 {
		t.Error("the network was never asked")
	}
	for flow, l := range labels(t, b) {
		if f := first[flow]; l.Label != f.Label || l.Score != f.Score || l.LatencyUS != f.LatencyUS || l.Reason != f.Reason || l.Packets != f.Packets {
			t.Errorf("%s: %+v, and before %+v", flow, l, f)
		}
	}
}

type labelled struct {
	Label, Stage, Reason string
	Score                float32
	Packets              int
	LatencyUS            int64
}

// labels plays the captures and returns what every flow was labelled.
func labels(t *testing.T, b *bundle.Bundle) map[string]labelled {
	t.Helper()
	s, err := sidecar.StartPrivate(b, true, nowhere{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	all := map[string]labelled{}
	for _, path := range captureFiles(t) {
		_, err := replay.LabelFile(context.Background(), s.Socket, path, replay.TapOptions{Sensor: path, Capture: true}, replay.Options{}, func(f *replay.Labelled) error {
			l := f.Label
			all[fmt.Sprintf("%s flow %d", path, f.Flow)] = labelled{l.Label, l.Stage, l.Reason, l.Score, l.Packets, l.LatencyUS}
			return nil
		})
		if err != nil && !strings.Contains(path, "cut") {
			t.Fatal(err)
		}
	}
	return all
}
