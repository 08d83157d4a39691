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
	"math"
	"slices"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/remote"
)

// UnknownLabel is the label of a flow that no stage accepts.
const UnknownLabel = "unknown"

// Bundle is a loaded bundle. It is immutable.
type Bundle struct {
	Manifest *Manifest
	// Packet and Meta are the cascades for taps with and without headers;
	// nil if the bundle has none.
	Packet, Meta *cascade.Cascade
	// PacketProfile and MetaProfile are the drift references of their calibration;
	// nil if the bundle has none.
	PacketProfile, MetaProfile *drift.Profile

	models []model.Model
	serves *[256]bool // by IP protocol number; nil: all
}

// Options are what loading needs besides the files.
type Options struct {
	// Library is the path of libonnxruntime; empty: the usual places.
	Library string
	// Batch is the most rows that an ONNX stage scores at once.
	Batch int
	// NoPayload has the bundle's own substitute loaded in its place, if it has one:
	// see WithoutPayload.
	NoPayload bool
	// TrustedKeys are public keys of minisign, one of which must have signed the
	// manifest; none: nothing need be signed.
	TrustedKeys []string
	// Inference is where remote stages are asked; the rest of it is the bundle's.
	Inference remote.Options
	// Warn, if set, is called with warnings that do not keep a bundle from serving.
	Warn func(string)
}

// WithoutPayload is the directory in a bundle that looks at payload for the bundle to
// serve in its place where bytes of payload are not permitted. The manifest lists all
// its files.
const WithoutPayload = "without-payload"

// GoldenSuffix is what the file of a model's golden rows ends in, after the name
// of the model's own.
const GoldenSuffix = ".golden.json"

// The limits of what is read: a bundle may come from anywhere.
const (
	maxManifest = 1 << 20
	maxFile     = 256 << 20
	maxTotal    = 512 << 20
	// goldenTolerance is how far a probability may be from its golden row:
	// the models compute in different widths of float.
	goldenTolerance = 1e-5
)

// Load reads and checks the bundle in fsys.
func Load(fsys fs.FS, o Options) (*Bundle, error) {
	text, err := read(fsys, ManifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no %s: not a bundle", ManifestFile)
	} else if err != nil {
		return nil, err
	}
	if len(o.TrustedKeys) > 0 {
		if _, err := verify(fsys, text, o.TrustedKeys); err != nil {
			return nil, err
		}
	}
	return load(fsys, text, o)
}

// load loads a bundle by the text of its manifest, which is trusted.
func load(fsys fs.FS, text []byte, o Options) (*Bundle, error) {
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if o.NoPayload && m.HasSubstitute() {
		return loadSubstitute(fsys, m, o)
	}
	files, err := ReadFiles(fsys, m.Files, maxTotal)
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
	l := &loader{bundle: b, files: files, options: o, models: map[[2]string]model.Model{}}
	b.Packet, err = l.cascade("packet", m.Packet.Stage)
	if err == nil {
		b.Meta, err = l.cascade("meta", m.Meta.Stage)
	}
	if err == nil {
		b.PacketProfile, err = m.profile(&m.Packet)
	}
	if err == nil {
		b.MetaProfile, err = m.profile(&m.Meta)
	}
	if err == nil && b.Meta != nil && b.Meta.NeedsHeaders() {
		err = errors.New("meta.stage: a column needs headers, which headerless taps do not send")
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// loadSubstitute loads what m's bundle carries for taps that may send no payload.
func loadSubstitute(fsys fs.FS, m *Manifest, o Options) (*Bundle, error) {
	// The digest of its manifest is in the one that is signed: what has it is what counts,
	// and the file is not read again.
	files, err := ReadFiles(fsys, map[string]string{substituteManifest: m.Files[substituteManifest]}, maxManifest)
	if err != nil {
		return nil, err
	}
	sub, err := fs.Sub(fsys, WithoutPayload)
	if err != nil {
		return nil, err
	}
	o.NoPayload = false
	b, err := load(sub, files[substituteManifest], o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", WithoutPayload, err)
	}
	if b.PayloadBytes() > 0 {
		return nil, errors.Join(fmt.Errorf("%s: this bundle looks at bytes of payload, too", WithoutPayload), b.Close())
	}
	return b, nil
}

// Name is the bundle's name and version, as labels carry it.
func (b *Bundle) Name() string { return b.Manifest.Name + "@" + b.Manifest.Version }

// Serves reports whether the models were trained on flows of a transport protocol,
// given its IP protocol number; 0: not known.
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

// PayloadBytes is the number of payload bytes of a packet that the bundle uses, 0
// if it uses none.
func (b *Bundle) PayloadBytes() int {
	n := 0
	for _, c := range []*cascade.Cascade{b.Packet, b.Meta} {
		if c != nil {
			n = max(n, c.PayloadBytes())
		}
	}
	return n
}

// SlowOnly is the same bundle with the last stage of each cascade alone, which
// scores every flow, and without drift references. It shares the models: close only
// one of the two.
func (b *Bundle) SlowOnly() *Bundle {
	slow := *b
	slow.PacketProfile, slow.MetaProfile = nil, nil
	if b.Packet != nil {
		slow.Packet = b.Packet.LastStageOnly()
	}
	if b.Meta != nil {
		slow.Meta = b.Meta.LastStageOnly()
	}
	return &slow
}

// Remotes are the models that run on inference servers.
func (b *Bundle) Remotes() (all []*remote.Model) {
	for _, m := range b.models {
		if r, ok := m.(*remote.Model); ok {
			all = append(all, r)
		}
	}
	return all
}

// Close frees the models.
func (b *Bundle) Close() error {
	var errs []error
	for _, m := range b.models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// ReadFiles reads the listed files, at most so many bytes in all, and checks their
// digests.
func ReadFiles(fsys fs.FS, digests map[string]string, most int64) (map[string][]byte, error) {
	if total := sizes(fsys, digests); total > most {
		return nil, fmt.Errorf("the files have %d MiB in total, at most %d are allowed", total>>20, most>>20)
	}
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
			errs = append(errs, fmt.Errorf("%s: its digest is %s but the manifest says %s: the file was changed or truncated; copy the bundle again", name, got, digests[name]))
			continue
		}
		files[name] = data
	}
	return files, errors.Join(errs...)
}

// sizes is the total size of the files that exist. A sparse file counts with its
// full size.
func sizes(fsys fs.FS, digests map[string]string) (total int64) {
	for name := range digests {
		if info, err := fs.Stat(fsys, name); err == nil {
			size := info.Size()
			if size < 0 { // an archive may say 2^63 and more
				size = math.MaxInt64
			}
			total += min(size, math.MaxInt64-total)
		}
	}
	return total
}

// Digest is the digest of a file as in manifests.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func read(fsys fs.FS, name string, limit int64) ([]byte, error) {
	// Checked before opening, which may block or wind a tape, and again after it,
	// because the name may have changed its target.
	if info, err := fs.Stat(fsys, name); err != nil {
		return nil, err
	} else if err := checkFile(info, name, limit); err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(info, name, limit); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead) // most likely the final size
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(data.Len()) > limit {
		return nil, errLarge(name, limit)
	}
	return data.Bytes(), nil
}

// checkFile is an error if a file is not regular or too large.
func checkFile(info fs.FileInfo, name string, limit int64) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", name)
	}
	if size := info.Size(); size < 0 || size > limit {
		return errLarge(name, limit)
	}
	return nil
}

func errLarge(name string, limit int64) error {
	return fmt.Errorf("%s: larger than %d MiB", name, limit>>20)
}
