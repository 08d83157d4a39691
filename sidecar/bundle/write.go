package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/operate/tomltext"
)

// Write writes a bundle of these files to dir, which it creates if it is missing,
// and lists their digests in the manifest. Identical models, as two cascades
// may have, are written once, and all their stages name that file. Files of an
// older bundle in dir that are no longer listed are removed. The manifest is
// written last, so that a crash leaves no bundle that loads.
func Write(dir string, m *Manifest, files map[string][]byte) error {
	listed := *m
	listed.Files = make(map[string]string, len(files))
	for name, data := range files {
		listed.Files[name] = Digest(data)
	}
	listed.Packet.Stage, listed.Meta.Stage = slices.Clone(m.Packet.Stage), slices.Clone(m.Meta.Stage)
	listed.share()
	var text bytes.Buffer
	out := toml.NewEncoder(&text)
	out.Indent = ""
	if err := out.Encode(listed); err != nil {
		return fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if _, err := parseManifest(text.Bytes()); err != nil {
		return fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := clear(dir, listed.Files); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(listed.Files)) {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, ManifestFile), text.Bytes(), 0o644)
}

// share makes stages with identical models name the same file, and removes the
// others.
func (m *Manifest) share() {
	first := map[[2]string]string{} // by digests
	for _, stages := range [][]Stage{m.Packet.Stage, m.Meta.Stage} {
		for i := range stages {
			name := stages[i].Model
			digests := [2]string{m.Files[name], m.Files[name+GoldenSuffix]}
			other, ok := first[digests]
			if !ok {
				first[digests] = name
				continue
			}
			if other != name {
				delete(m.Files, name)
				delete(m.Files, name+GoldenSuffix)
				stages[i].Model = other
			}
		}
	}
}

// clear removes the manifest in dir and the files it lists, except those to stay. A
// directory with files but no manifest is not a bundle and is refused.
func clear(dir string, stay map[string]string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return fmt.Errorf("%s has files but no %s: name a new directory, or one with a bundle to replace", dir, ManifestFile)
	}
	if err := tomltext.Check(text); err != nil {
		return fmt.Errorf("%s in %s: %w", ManifestFile, dir, err)
	}
	old := new(Manifest)
	if _, err := toml.Decode(string(text), old); err != nil {
		return fmt.Errorf("%s in %s: %w", ManifestFile, dir, err)
	}
	errs := []error{os.Remove(filepath.Join(dir, ManifestFile))}
	if err := os.Remove(filepath.Join(dir, SignatureFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err) // it would be that of another manifest
	}
	for name := range old.Files {
		if _, ok := stay[name]; !ok && filepath.IsLocal(name) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
