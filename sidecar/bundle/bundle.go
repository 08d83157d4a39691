package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"serveflow/sidecar/cascade"
	"serveflow/sidecar/drift"
	"serveflow/sidecar/feature"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/novelty"
	"serveflow/sidecar/model/onnx"
)

// UnknownLabel is what a flow is called that no stage is sure of.
const UnknownLabel = "unknown"

// Bundle is a loaded bundle. It is immutable.
type Bundle struct {
	Manifest *Manifest
	// Packet and Meta are the cascades for taps with and without headers;
	// nil if the bundle has none.
	Packet, Meta *cascade.Cascade
	// PacketProfile and MetaProfile are what their flows should look like; nil
	// if the bundle does not tell.
	PacketProfile, MetaProfile *drift.Profile

	models []model.Model
	serves *[256]bool // by IP protocol number; nil: all
}

// Options are what loading needs besides the files.
type Options struct {
	// Library is the path of libonnxruntime; empty: looked for.
	Library string
	// Batch is the most rows that an ONNX stage is asked at once.
	Batch int
	// Warn, if set, is told of what does not keep a bundle from serving.
	Warn func(string)
}

// GoldenSuffix is what the file of a model's golden rows ends in, after the name
// of the model's own.
const GoldenSuffix = ".golden.json"

// The limits of what is read: a bundle may come from anywhere.
const (
	maxManifest = 1 << 20
	maxFile     = 256 << 20
	// goldenTolerance is how far a probability may be from its golden row:
	// the models compute in different widths of float.
	goldenTolerance = 1e-5
)

// Load reads and checks the bundle in fsys.
func Load(fsys fs.FS, o Options) (*Bundle, error) {
	text, err := read(fsys, ManifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no %s here: not a bundle", ManifestFile)
	} else if err != nil {
		return nil, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	files, err := ReadFiles(fsys, m.Files)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Manifest: m}
	if len(m.Features.Protocols) > 0 {
		b.serves = new([256]bool)
		for p := range b.serves {
			b.serves[p] = m.Features.Serves(uint8(p))
		}
	}
	b.Packet, err = b.cascade("packet", m.Packet.Stage, files, o)
	if err == nil {
		b.Meta, err = b.cascade("meta", m.Meta.Stage, files, o)
	}
	if err == nil {
		b.PacketProfile, err = m.profile(&m.Packet)
	}
	if err == nil {
		b.MetaProfile, err = m.profile(&m.Meta)
	}
	if err == nil && b.Meta != nil && b.Meta.NeedsHeaders() {
		err = errors.New("meta.stage: a column needs headers, which these taps do not see")
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Name is the bundle's name and version, as labels carry it.
func (b *Bundle) Name() string { return b.Manifest.Name + "@" + b.Manifest.Version }

// Serves says whether the models know flows of a transport protocol, by its IP
// protocol number; 0 is one that the tap does not tell.
func (b *Bundle) Serves(proto uint8) bool { return b.serves == nil || proto == 0 || b.serves[proto] }

// Packets is the number of a flow's packets that the bundle may need.
func (b *Bundle) Packets() int {
	n := 0
	for _, c := range []*cascade.Cascade{b.Packet, b.Meta} {
		if c != nil {
			n = max(n, c.Packets())
		}
	}
	return n
}

// SlowOnly is the same bundle with the last stage of each cascade alone, asked
// about every flow, which is not what its reference is of. It shares the models:
// close only one of the two.
func (b *Bundle) SlowOnly() *Bundle {
	slow := *b
	slow.PacketProfile, slow.MetaProfile = nil, nil
	if b.Packet != nil {
		slow.Packet = b.Packet.Only()
	}
	if b.Meta != nil {
		slow.Meta = b.Meta.Only()
	}
	return &slow
}

// Close frees the models.
func (b *Bundle) Close() error {
	var errs []error
	for _, m := range b.models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

func (b *Bundle) cascade(name string, stages []Stage, files map[string][]byte, o Options) (*cascade.Cascade, error) {
	if len(stages) == 0 {
		return nil, nil
	}
	masks, err := feature.ParseMasks(b.Manifest.Features.Masks)
	if err != nil {
		return nil, fmt.Errorf("features.masks: %w", err)
	}
	built := make([]cascade.Stage, len(stages))
	for i, s := range stages {
		at := fmt.Sprintf("%s.stage[%d] (%s)", name, i, s.Model)
		m, err := b.load(s, files, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		plan, err := feature.Compile(m.Columns(), masks)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		measure, err := cascade.ParseMeasure(s.Confidence)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		var profile *novelty.Profile
		if s.Profile != "" {
			if profile, err = novelty.Parse(files[s.Profile], m); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", at, s.Profile, err)
			}
		}
		built[i] = cascade.Stage{
			Name: s.Name, Packets: s.Packets, Plan: plan, Model: m,
			Measure: measure, Thresholds: s.Thresholds, Profile: profile, Novel: s.Novel, Batched: s.Kind == "onnx",
		}
	}
	c, err := cascade.New(b.Manifest.Labels, built)
	if err != nil {
		return nil, fmt.Errorf("%s.stage: %w", name, err)
	}
	return c, nil
}

func (b *Bundle) load(s Stage, files map[string][]byte, o Options) (model.Model, error) {
	m, err := LoadModel(s.Kind, files[s.Model], files[s.Model+GoldenSuffix], len(b.Manifest.Labels), o)
	if m != nil {
		b.models = append(b.models, m)
	}
	return m, err
}

// LoadModel loads a model of a kind that stages can have, and checks it against
// its golden rows unless there are none. If only these are wrong, the model is
// returned with the error, to be closed.
func LoadModel(kind string, data, golden []byte, classes int, o Options) (model.Model, error) {
	switch kind {
	case "lightgbm":
		return loadTrees(data, golden, classes, o.Warn)
	case "onnx":
		m, err := onnx.Load(data, onnx.Options{Library: o.Library, Classes: classes, MaxBatch: max(o.Batch, 1)})
		if err != nil || golden == nil {
			return m, err
		}
		return m, checkGolden(m, golden)
	}
	return nil, fmt.Errorf("kind %q: use %q or %q", kind, kinds[0], kinds[1])
}

func checkGolden(m model.Model, rows []byte) error {
	return model.CheckGolden(m, bytes.NewReader(rows), goldenTolerance)
}

// readFiles reads the listed files and checks their digests.
func ReadFiles(fsys fs.FS, digests map[string]string) (map[string][]byte, error) {
	files := make(map[string][]byte, len(digests))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		if !fs.ValidPath(name) {
			errs = append(errs, fmt.Errorf("%s: not a path inside the bundle", name))
			continue
		}
		data, err := read(fsys, name, maxFile)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if got := Digest(data); got != digests[name] {
			errs = append(errs, fmt.Errorf("%s: its digest is %s and the manifest says %s: the file was changed or cut; copy the bundle again", name, got, digests[name]))
			continue
		}
		files[name] = data
	}
	return files, errors.Join(errs...)
}

// Digest is the digest of a file as manifests write it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func read(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, limit>>20)
	}
	return data, nil
}
