package bundle

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/tomltext"
	"serveflow/sidecar/tap/wire"
)

// ManifestFile is the name of the manifest in a bundle.
const ManifestFile = "manifest.toml"

// Manifest is the text of manifest.toml.
type Manifest struct {
	Name    string   `toml:"name"`    // lower case, digits and dashes
	Version string   `toml:"version"` // as in 1.0.0
	Task    string   `toml:"task"`    // one line for people
	Labels  []string `toml:"labels"`  // in the order of the models' classes
	// Alarms are the labels that an analyst acts on, and Background is the label
	// for flows of none of the other kinds. A bundle may have neither.
	Alarms     []string `toml:"alarms,omitempty"`
	Background string   `toml:"background,omitempty"`

	// Agrees lists the protocols that an IDS may detect in a flow with a label.
	Agrees Agrees `toml:"agrees,omitempty"`
	// Attack lists the techniques of MITRE ATT&CK that a label may be a sign of.
	Attack Attack `toml:"attack,omitempty"`

	Features Features `toml:"features"`
	// Packet is the cascade for taps that send headers, Meta that for headerless
	// taps. Either may be missing.
	Packet Stages `toml:"packet"`
	Meta   Stages `toml:"meta"`

	Calibration Calibration       `toml:"calibration"`
	Provenance  Provenance        `toml:"provenance"`
	Files       map[string]string `toml:"files"` // name to "sha256:<hex>"
}

// Features describes what the models were trained on.
type Features struct {
	Packets  int      `toml:"packets"`
	Sections []string `toml:"sections"`
	Masks    []string `toml:"masks"`
	// Protocols are the transport protocols of the training flows: "tcp", "udp",
	// "icmp", "icmpv6". Flows of others are unserved. Empty: all.
	Protocols []string `toml:"protocols"`
	// IdleTimeout is the idle timeout of flows in training, in seconds; 0: not
	// known.
	IdleTimeout int `toml:"quiet"`
}

// Serves reports whether the models were trained on flows of a transport protocol,
// given its IP protocol number.
func (f *Features) Serves(proto uint8) bool {
	return len(f.Protocols) == 0 || slices.ContainsFunc(f.Protocols, func(name string) bool { return protocols[name] == proto })
}

// Stages is one cascade of the manifest.
type Stages struct {
	Stage []Stage `toml:"stage"`
	// Reference is what drift is measured against; nil: drift is not measured.
	Reference *drift.Reference `toml:"reference"`
}

// Stage is one stage of the manifest.
type Stage struct {
	Name       string    `toml:"name"`
	Packets    int       `toml:"packets"`
	Model      string    `toml:"model"`      // file name
	Kind       string    `toml:"kind"`       // "lightgbm", "onnx" or "remote"
	Confidence string    `toml:"confidence"` // see cascade.ParseMeasure
	Thresholds []float32 `toml:"thresholds"` // one for all classes, or one each
}

// Calibration is the guarantee of the thresholds: with confidence 1 - Delta, the
// error among accepted flows, those decided before the last stage, is at most
// TargetError. A session is drawn at random, then a flow of it: see package tune.
// TargetError is 0 if there is no guarantee.
type Calibration struct {
	Sessions    int     `toml:"sessions"`
	Flows       int     `toml:"flows"`
	TargetError float64 `toml:"target_error"`
	// MetaTargetError is that of the cascade for headerless taps.
	MetaTargetError float64 `toml:"meta_target_error"`
	Delta           float64 `toml:"delta"`
	// Budget is the largest number of false alarms of each alarm label per 10,000
	// flows without an alarm; Alarms is what was measured and proven for each.
	Budget float64            `toml:"budget,omitempty"`
	Alarms []AlarmCalibration `toml:"alarm,omitempty"`
}

// AlarmCalibration is how often an alarm is false, per 10,000 flows without an
// alarm: Observed in the calibration, and at most Proven with confidence 1 - Delta,
// if a capture is drawn at random and then a flow of it.
type AlarmCalibration struct {
	Events   string  `toml:"events"` // "packet" or "meta": the cascade
	Label    string  `toml:"label"`
	Observed float64 `toml:"observed"`
	Proven   float64 `toml:"proven"`
	// More is how many further captures without a false alarm would prove the
	// budget.
	More int `toml:"more"`
	// Recall is the share of the label's flows that get it, with equal weight for
	// every capture.
	Recall float64 `toml:"recall"`
}

// Provenance is where the models come from.
type Provenance struct {
	Data     string `toml:"data"`
	Licence  string `toml:"licence"`
	Citation string `toml:"citation"`
	Trained  string `toml:"trained"`
	Trainer  string `toml:"trainer"`
}

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	versionForm = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

var protocols = map[string]uint8{"tcp": packet.TCP, "udp": packet.UDP, "icmp": packet.ICMP, "icmpv6": packet.ICMPv6}

// kinds are the kinds of models.
var kinds = []string{"lightgbm", "onnx", "remote"}

// noveltyKeys are keys of stages in bundles of version 0.1.
var noveltyKeys = map[string]bool{
	"packet.stage.profile": true, "packet.stage.novel": true, "meta.stage.profile": true, "meta.stage.novel": true,
}

func parseManifest(text []byte) (*Manifest, error) {
	if err := tomltext.Check(text); err != nil {
		return nil, err
	}
	m := new(Manifest)
	meta, err := toml.Decode(string(text), m)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		if name := key.String(); noveltyKeys[name] {
			return nil, fmt.Errorf("%s: bundles have no novelty profiles any more: make this one again from its candidates with serveflow tune", name)
		}
		errs = append(errs, fmt.Errorf("%s: no such field", key))
	}
	errs = append(errs, m.check()...)
	return m, errors.Join(errs...)
}

// check returns one error for each invalid field.
func (m *Manifest) check() (errs []error) {
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if !nameForm.MatchString(m.Name) {
		bad("name", "%q: use lower-case letters, digits and dashes, at most 64", m.Name)
	}
	if !versionForm.MatchString(m.Version) {
		bad("version", "%q: use three numbers, as in 1.0.0", clip(m.Version))
	} else if name := m.Name + "@" + m.Version; len(name) > wire.MaxText {
		bad("version", "with the name it has %d bytes, and taps take %d", len(name), wire.MaxText)
	}
	if len(m.Task) > maxTask || !wire.IsText(m.Task) {
		bad("task", "%q: write one line of at most %d bytes, without control characters", clip(m.Task), maxTask)
	}
	seen := map[string]bool{}
	for i, l := range m.Labels {
		switch {
		case l == "" || len(l) > 64 || !wire.IsText(l):
			bad(fmt.Sprintf("labels[%d]", i), "%q: a label has 1 to 64 bytes of UTF-8 and no control characters", clip(l))
		case l == UnknownLabel:
			bad(fmt.Sprintf("labels[%d]", i), "%q is what a flow is called that no stage is sure of: choose another name", l)
		case seen[l]:
			bad(fmt.Sprintf("labels[%d]", i), "%q is listed twice", l)
		}
		seen[l] = true
	}
	if len(m.Labels) < 2 || len(m.Labels) > 4096 {
		bad("labels", "%d labels: give 2 to 4096", len(m.Labels))
	}
	m.Agrees.check(m.Labels, bad)
	m.Attack.check(m.Labels, bad)
	errs = append(errs, CheckRoles(m.Labels, m.Alarms, m.Background)...)
	if m.Features.Packets < 1 || m.Features.Packets > flow.MaxPackets {
		bad("features.packets", "%d: give 1 to %d", m.Features.Packets, flow.MaxPackets)
	}
	if _, err := feature.ParseMasks(m.Features.Masks); err != nil {
		bad("features.masks", "%v", err)
	}
	if q := m.Features.IdleTimeout; q < 0 || q > 3600 {
		bad("features.quiet", "%d: give seconds, 0 to 3600", q)
	}
	for i, p := range m.Features.Protocols {
		if _, ok := protocols[p]; !ok {
			bad(fmt.Sprintf("features.protocols[%d]", i), "%q: use tcp, udp, icmp or icmpv6", p)
		}
	}
	if len(m.Packet.Stage)+len(m.Meta.Stage) == 0 {
		bad("packet.stage", "no stage: give at least one [[packet.stage]] or [[meta.stage]]")
	}
	if e := m.Calibration.TargetError; !isShare(e) {
		bad("calibration.target_error", "%v: a share from 0 to 1", e)
	}
	if e := m.Calibration.MetaTargetError; !isShare(e) {
		bad("calibration.meta_target_error", "%v: a share from 0 to 1", e)
	}
	if d := m.Calibration.Delta; !isShare(d) {
		bad("calibration.delta", "%v: a probability from 0 to 1", d)
	}
	if b := m.Calibration.Budget; !(b >= 0 && b <= 10_000) {
		bad("calibration.budget", "%v: a number of 10,000 flows", b)
	}
	for i, a := range m.Calibration.Alarms {
		if !slices.Contains(m.Alarms, a.Label) {
			bad(fmt.Sprintf("calibration.alarm[%d]", i), "%q is not among the alarms", a.Label)
		}
		if r := a.Recall; !(r >= 0 && r <= 1) {
			bad(fmt.Sprintf("calibration.alarm[%d].recall", i), "%v: a share from 0 to 1", r)
		}
		for _, n := range []float64{a.Observed, a.Proven} {
			if !(n >= 0 && n <= 10_000) {
				bad(fmt.Sprintf("calibration.alarm[%d]", i), "%v: a number of 10,000 flows", n)
			}
		}
	}
	used := m.used()
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		digest := m.Files[name]
		if !used[name] && !(m.HasSubstitute() && strings.HasPrefix(name, WithoutPayload+"/")) {
			bad("files", "%q: no stage names it; leave it out", clip(name))
		}
		if !wire.IsText(name) {
			bad("files", "%q: a name has no control characters", clip(name))
		}
		if !digestForm.MatchString(digest) {
			bad("files."+clip(name), "%q: write sha256: and 64 hexadecimal digits", digest)
		}
	}
	m.checkStages("packet", m.Packet.Stage, bad)
	m.checkStages("meta", m.Meta.Stage, bad)
	m.checkReference("packet", &m.Packet, bad)
	m.checkReference("meta", &m.Meta, bad)
	return errs
}

// maxTask is the longest task, in bytes.
const maxTask = 1024

// isShare is false for NaN, too.
func isShare(e float64) bool { return e >= 0 && e < 1 }

// clip shortens what an error shows.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// companions are files of a bundle that no stage names, for its readers.
var companions = []string{"DATASHEET.md", "costs.json"}

// substituteManifest is the manifest of what is served where payload is not permitted.
const substituteManifest = WithoutPayload + "/" + ManifestFile

// HasSubstitute says whether the bundle carries one to serve where payload is not permitted.
func (m *Manifest) HasSubstitute() bool { return m.Files[substituteManifest] != "" }

// used are the files that stages name, and their companions.
func (m *Manifest) used() map[string]bool {
	names := map[string]bool{}
	for _, name := range companions {
		names[name] = true
	}
	for _, s := range slices.Concat(m.Packet.Stage, m.Meta.Stage) {
		names[s.Model], names[s.Model+GoldenSuffix] = true, true
	}
	return names
}

// CheckRoles returns one error for each name among alarms, and for background, that
// is not a label or has two roles.
func CheckRoles(labels, alarms []string, background string) (errs []error) {
	for i, a := range alarms {
		switch {
		case !slices.Contains(labels, a):
			errs = append(errs, fmt.Errorf("alarms[%d]: %q is not among the labels", i, a))
		case slices.Contains(alarms[:i], a):
			errs = append(errs, fmt.Errorf("alarms[%d]: %q is listed twice", i, a))
		case a == background:
			errs = append(errs, fmt.Errorf("alarms[%d]: %q is the background and cannot be an alarm", i, a))
		}
	}
	if background != "" && !slices.Contains(labels, background) {
		errs = append(errs, fmt.Errorf("background: %q is not among the labels", background))
	}
	return errs
}

func (m *Manifest) checkReference(name string, s *Stages, bad func(string, string, ...any)) {
	switch {
	case s.Reference == nil:
	case len(s.Stage) == 0:
		bad(name+".reference", "there is no [[%s.stage]] that it could be of", name)
	default:
		for _, err := range s.Reference.Check(m.shape(s)) {
			bad(name+".reference", "%v", err)
		}
	}
}

// profile is the compiled reference of a cascade, or nil.
func (m *Manifest) profile(s *Stages) (*drift.Profile, error) {
	if s.Reference == nil {
		return nil, nil
	}
	return drift.Compile(s.Reference, m.shape(s))
}

// shape is what the reference of a cascade must match.
func (m *Manifest) shape(s *Stages) drift.Shape {
	masks, _ := feature.ParseMasks(m.Features.Masks) // checked elsewhere
	return drift.Shape{
		Labels: len(m.Labels), Stages: len(s.Stage), Packets: s.Stage[len(s.Stage)-1].Packets,
		Meta: s == &m.Meta, Masks: masks,
	}
}

func (m *Manifest) checkStages(name string, stages []Stage, bad func(string, string, ...any)) {
	for i, s := range stages {
		at := fmt.Sprintf("%s.stage[%d].", name, i)
		if !nameForm.MatchString(s.Name) {
			bad(at+"name", "%q: use lower-case letters, digits and dashes, at most 64", s.Name)
		}
		for _, other := range stages[:i] {
			if other.Name == s.Name {
				bad(at+"name", "%q is listed twice", s.Name)
			}
		}
		if s.Packets > m.Features.Packets {
			bad(at+"packets", "%d is more than features.packets, %d", s.Packets, m.Features.Packets)
		}
		if !slices.Contains(kinds, s.Kind) {
			bad(at+"kind", "%q: use one of %s", s.Kind, strings.Join(kinds, ", "))
		}
		if _, err := cascade.ParseMeasure(s.Confidence); err != nil {
			bad(at+"confidence", "%v", err)
		}
		if s.Model == "" {
			bad(at+"model", "missing: name the file of the model")
			continue
		}
		listed := func(field, file string) {
			if _, ok := m.Files[file]; !ok {
				bad(at+field, "%s is not listed under [files] with its SHA-256", file)
			}
		}
		listed("model", s.Model)
		listed("model", s.Model+GoldenSuffix)
	}
}
