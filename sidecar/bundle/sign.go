package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"
)

// SignatureFile is the signature of the manifest, in minisign's format. As the manifest
// lists the digest of every file, it holds for the whole bundle.
const SignatureFile = ManifestFile + ".minisig"

// maxSignature is the most bytes of a signature, comments included.
const maxSignature = 16 << 10

// ErrUntrusted is that of a bundle whose signature is missing or by no trusted key.
var ErrUntrusted = errors.New("not signed by a trusted key")

// ParseKey reads a public key as minisign prints it, "RW" and 54 more characters.
func ParseKey(text string) (key minisign.PublicKey, err error) {
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return key, fmt.Errorf("%q is no public key of minisign: %w", clip(text), err)
	}
	return key, nil
}

// Sign signs the bundle in dir, whose files are checked first, and writes SignatureFile.
// The trusted comment, which the signature covers, names the bundle.
func Sign(dir string, key minisign.PrivateKey) error {
	fsys := folder{os.DirFS(dir), dir}
	text, err := read(fsys, ManifestFile, maxManifest)
	if err != nil {
		return err
	}
	m, err := parseManifest(text)
	if err != nil {
		return fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if _, err := ReadFiles(fsys, m.Files, maxTotal); err != nil {
		return err
	}
	signature := minisign.SignWithComments(key, text, "bundle "+m.Name+"@"+m.Version, "signature of "+ManifestFile)
	return os.WriteFile(filepath.Join(dir, SignatureFile), append(bytes.TrimRight(signature, "\n"), '\n'), 0o644)
}

// verify returns which of the keys has signed a manifest, by its place in the list.
func verify(fsys fs.FS, manifest []byte, keys []string) (int, error) {
	signature, err := read(fsys, SignatureFile, maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no %s: sign it with \"serveflow bundle sign\"", ErrUntrusted, SignatureFile)
	} else if err != nil {
		return 0, err
	}
	for i, text := range keys {
		key, err := ParseKey(text)
		if err != nil {
			return 0, err
		}
		if minisign.Verify(key, manifest, signature) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %s is by another key, or %s was changed after it", ErrUntrusted, SignatureFile, ManifestFile)
}

// Verify checks the files of a bundle, a directory or an archive, against its manifest,
// and the manifest against its signature. It returns the manifest and the key, one of the
// given, that has signed it.
func Verify(name string, keys []string) (*Manifest, string, error) {
	fsys, _, err := find(name)
	if err != nil {
		return nil, "", err
	}
	text, err := read(fsys, ManifestFile, maxManifest)
	if err != nil {
		return nil, "", fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	i, err := verify(fsys, text, keys)
	if err != nil {
		return nil, "", fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	m, err := parseManifest(text)
	if err == nil {
		_, err = ReadFiles(fsys, m.Files, maxTotal)
	}
	if err != nil {
		return nil, "", fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	return m, keys[i], nil
}
