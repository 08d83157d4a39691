package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteBOM writes a bill of materials in CycloneDX 1.6: the bundle as a model with its
// card, its files with their digests, and the data it was trained on with their licence.
// The same manifest gives the same text.
func (m *Manifest) WriteBOM(w io.Writer, manifest []byte) error {
	sum := sha256.Sum256(manifest)
	files := []bomComponent{}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		files = append(files, bomComponent{
			Type: "file", Ref: "file:" + name, Name: name,
			Hashes: []bomHash{{"SHA-256", strings.TrimPrefix(m.Files[name], "sha256:")}},
		})
	}
	data := bomComponent{
		Type: "data", Ref: "training-data", Name: "training data of " + m.Name, Description: m.Provenance.Data,
		Licenses: licences(m.Provenance.Licence),
		Data:     []bomData{{Type: "dataset", Name: "training data of " + m.Name, Description: m.Provenance.Data}},
	}
	bom := struct {
		Format       string          `json:"bomFormat"`
		Spec         string          `json:"specVersion"`
		Serial       string          `json:"serialNumber"`
		Version      int             `json:"version"`
		Metadata     bomMetadata     `json:"metadata"`
		Components   []bomComponent  `json:"components"`
		Dependencies []bomDependency `json:"dependencies"`
	}{
		"CycloneDX", "1.6", serial(sum), 1,
		bomMetadata{Component: m.model(hex.EncodeToString(sum[:]))},
		append([]bomComponent{data}, files...),
		[]bomDependency{{Ref: "bundle", On: refs(append([]bomComponent{data}, files...))}},
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(bom)
}

// model is the bundle as a component.
func (m *Manifest) model(digest string) bomComponent {
	card := &bomCard{}
	p := &card.Parameters
	p.Approach.Type = "supervised"
	p.Task = "classification of network flows"
	p.Family = "cascade of " + strings.Join(m.kinds(), " and ")
	p.Architecture = m.architecture()
	p.Datasets = []bomRef{{"training-data"}}
	p.Inputs = []bomFormat{{fmt.Sprintf("the first %d packets of a flow", m.Features.Packets)}}
	p.Outputs = []bomFormat{{"a label of " + strings.Join(m.Labels, ", ") + ", or " + UnknownLabel + "; with a score"}}
	if c := m.Calibration; c.TargetError > 0 {
		card.Analysis = &bomAnalysis{Metrics: []bomMetric{{
			Type:  "error among flows accepted before the last stage, at most",
			Value: fmt.Sprint(c.TargetError), Slice: fmt.Sprintf("%d calibration sessions, with confidence %g", c.Sessions, 1-c.Delta),
		}}}
	}
	for _, a := range m.Calibration.Alarms {
		if card.Analysis == nil {
			card.Analysis = &bomAnalysis{}
		}
		card.Analysis.Metrics = append(card.Analysis.Metrics, bomMetric{
			Type: "recall", Value: fmt.Sprint(a.Recall), Slice: a.Label + ", " + a.Events,
		})
	}
	return bomComponent{
		Type: "machine-learning-model", Ref: "bundle", Name: m.Name, Version: m.Version, Description: m.Task,
		Licenses: licences(m.Provenance.Licence), Hashes: []bomHash{{"SHA-256", digest}}, Card: card,
	}
}

// kinds are those of the models, each once.
func (m *Manifest) kinds() (all []string) {
	for _, s := range slices.Concat(m.Packet.Stage, m.Meta.Stage) {
		if !slices.Contains(all, s.Kind) {
			all = append(all, s.Kind)
		}
	}
	return all
}

func (m *Manifest) architecture() string {
	var all []string
	for _, s := range m.Packet.Stage {
		all = append(all, fmt.Sprintf("%s: %s on %d packets", s.Name, s.Kind, s.Packets))
	}
	for _, s := range m.Meta.Stage {
		all = append(all, fmt.Sprintf("%s without headers: %s on %d packets", s.Name, s.Kind, s.Packets))
	}
	return strings.Join(all, "; ")
}

func licences(text string) []bomLicence {
	if text == "" {
		return nil
	}
	var l bomLicence
	l.Licence.Name = text
	return []bomLicence{l}
}

// serial is a UUID made of a digest, version 8 of RFC 9562.
func serial(sum [32]byte) string {
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	h := hex.EncodeToString(u)
	return "urn:uuid:" + strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func refs(components []bomComponent) (all []string) {
	for _, c := range components {
		all = append(all, c.Ref)
	}
	return all
}

// What CycloneDX calls them; see its schema of version 1.6.
type (
	bomComponent struct {
		Type        string       `json:"type"`
		Ref         string       `json:"bom-ref"`
		Name        string       `json:"name"`
		Version     string       `json:"version,omitempty"`
		Description string       `json:"description,omitempty"`
		Hashes      []bomHash    `json:"hashes,omitempty"`
		Licenses    []bomLicence `json:"licenses,omitempty"`
		Card        *bomCard     `json:"modelCard,omitempty"`
		Data        []bomData    `json:"data,omitempty"`
	}
	bomMetadata struct {
		Component bomComponent `json:"component"`
	}
	bomHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	bomLicence struct {
		Licence struct {
			Name string `json:"name"`
		} `json:"license"`
	}
	bomCard struct {
		Parameters struct {
			Approach struct {
				Type string `json:"type"`
			} `json:"approach"`
			Task         string      `json:"task"`
			Family       string      `json:"architectureFamily"`
			Architecture string      `json:"modelArchitecture"`
			Datasets     []bomRef    `json:"datasets"`
			Inputs       []bomFormat `json:"inputs"`
			Outputs      []bomFormat `json:"outputs"`
		} `json:"modelParameters"`
		Analysis *bomAnalysis `json:"quantitativeAnalysis,omitempty"`
	}
	bomRef struct {
		Ref string `json:"ref"`
	}
	bomFormat struct {
		Format string `json:"format"`
	}
	bomAnalysis struct {
		Metrics []bomMetric `json:"performanceMetrics"`
	}
	bomMetric struct {
		Type  string `json:"type"`
		Value string `json:"value"`
		Slice string `json:"slice,omitempty"`
	}
	bomData struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
	}
	bomDependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)
