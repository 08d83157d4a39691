package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"aead.dev/minisign"
)

// archiveOf writes files as a zip archive, the way in which it is changed last.
func archiveOf(t *testing.T, files map[string][]byte, change func([]byte) []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) { // fast.txt before fast.txt.golden.json
		if err := add(w, name, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle.zip")
	if err := os.WriteFile(path, change(b.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// toyFiles are the files of the toy bundle.
func toyFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, f := range copyToy(t) {
		files[name] = f.Data
	}
	return files
}

func same(b []byte) []byte { return b }

// claim makes the directory of an archive say that a file has so many bytes, in the
// fields of zip64.
func claim(name string, size uint64) func([]byte) []byte {
	return func(b []byte) []byte {
		le := binary.LittleEndian
		header := bytes.Index(b, []byte("PK\x01\x02"))
		for string(b[header+46:][:le.Uint16(b[header+28:])]) != name {
			header += 4 + bytes.Index(b[header+4:], []byte("PK\x01\x02"))
		}
		extra := le.AppendUint16(le.AppendUint16(nil, 1), 8)
		extra = le.AppendUint64(extra, size)
		le.PutUint32(b[header+24:], 1<<32-1)
		le.PutUint16(b[header+30:], le.Uint16(b[header+30:])+uint16(len(extra)))
		at := header + 46 + len(name)
		b = append(b[:at:at], append(extra, b[at:]...)...)
		end := bytes.LastIndex(b, []byte("PK\x05\x06"))
		le.PutUint32(b[end+12:], le.Uint32(b[end+12:])+uint32(len(extra)))
		return b
	}
}

// manyFiles gives an archive a directory of so many files that have no room in it.
func manyFiles(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		le := binary.LittleEndian
		end := bytes.LastIndex(b, []byte("PK\x05\x06"))
		tail := bytes.Clone(b[end:])
		start := end
		b = b[:end]
		for i := range n {
			entry := make([]byte, 46, 64)
			copy(entry, "PK\x01\x02")
			name := fmt.Sprintf("%08d", i)
			le.PutUint16(entry[28:], uint16(len(name)))
			b = append(b, append(entry, name...)...)
		}
		le.PutUint16(tail[8:], uint16(n))
		le.PutUint16(tail[10:], uint16(n))
		le.PutUint32(tail[12:], uint32(len(b)-start))
		le.PutUint32(tail[16:], uint32(start))
		return append(b, tail...)
	}
}

// TestHostileArchives: what an archive says of its files is held against the bounds
// before memory is taken for them.
func TestHostileArchives(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  func(map[string][]byte)
		change func([]byte) []byte
		want   string // "": it loads
	}{
		{"as it is", nil, same, ""},
		{"a manifest of 2^63 bytes", nil, claim(ManifestFile, 1<<63), "manifest.toml: larger than 1 MiB"},
		{"a model of 2^63 bytes", nil, claim("fast.txt", 1<<63+9), "the files have 8796093022207 MiB in total"},
		{"a manifest that is packed zeros", func(f map[string][]byte) { f[ManifestFile] = make([]byte, 2<<20) }, same, "manifest.toml: larger than 1 MiB"},
		{"a model of 300 MiB", nil, claim("fast.txt", 300<<20), "fast.txt: larger than 256 MiB"},
		{"a model of 200 MiB that is not", nil, claim("fast.txt", 200<<20), "fast.txt: unexpected EOF"},
		{"a directory of 100,000 files", nil, manyFiles(100_000), "directory is larger than 1 MiB"},
		{"a file twice", nil, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("slow.txt"), []byte("fast.txt")) }, ` twice`},
		{"a path out of it", func(f map[string][]byte) { f["../fast.txt"] = f["fast.txt"]; delete(f, "fast.txt") }, same, `holds "../fast.txt", which is no path inside it`},
		{"a cut directory", nil, func(b []byte) []byte { return b[:len(b)-30] }, "neither a directory nor an archive"},
		{"a turned bit of a model", nil, func(b []byte) []byte { b[bytes.Index(b, []byte("fast.txt"))+40] ^= 1; return b }, "fast.txt: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := toyFiles(t)
			if c.files != nil {
				c.files(files)
			}
			b, err := Open(archiveOf(t, files, c.change), Options{})
			if err == nil {
				b.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestLinkInAnArchive: no entry of an archive leads elsewhere.
func TestLinkInAnArchive(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, data := range toyFiles(t) {
		header := &zip.FileHeader{Name: name}
		header.SetMode(0o644)
		if name == "fast.txt" {
			header.SetMode(fs.ModeSymlink | 0o777)
			data = []byte("/etc/hostname")
		}
		out, err := w.CreateHeader(header)
		if err == nil {
			_, err = out.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "fast.txt: not a regular file") {
		t.Errorf("error %v", err)
	}
}

// TestSignatureByteByByte: a signature with a bit of any byte turned, but for those of the
// comment that it does not cover, or cut anywhere, is none.
func TestSignatureByteByByte(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(toy)); err != nil {
		t.Fatal(err)
	}
	if err := Sign(dir, private); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SignatureFile)
	signature, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{publicText(public)}
	trusted := func(text []byte) bool {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		fsys := folder{os.DirFS(dir), dir}
		manifest, err := read(fsys, ManifestFile, maxManifest)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify(fsys, manifest, keys)
		return err == nil
	}
	if !trusted(signature) {
		t.Fatal("the signature is none")
	}
	comment := bytes.IndexByte(signature, '\n')
	for i := range signature {
		if i < len(signature)-1 && trusted(signature[:i]) {
			t.Errorf("cut to %d of %d bytes: trusted", i, len(signature))
		}
		turned := bytes.Clone(signature)
		turned[i] ^= 1 << (i % 8)
		// The last digit of base64 has bits of no byte.
		covered := i > comment && i < len(signature)-1 && signature[i+1] != '='
		if covered && trusted(turned) {
			t.Errorf("bit %d of byte %d (%q) turned: trusted", i%8, i, signature[i])
		}
	}
}

// publicText is a key as it is written in a configuration.
func publicText(key minisign.PublicKey) string {
	lines := strings.Split(strings.TrimSpace(key.String()), "\n")
	return lines[len(lines)-1]
}

// swapping gives other bytes for a file each time but the first.
type swapping struct {
	fs.FS
	name  string
	other []byte
	reads int
}

func (s *swapping) Open(name string) (fs.File, error) {
	if name == s.name {
		if s.reads++; s.reads > 1 {
			return fstest.MapFS{name: {Data: s.other}}.Open(name)
		}
	}
	return s.FS.Open(name)
}

// Stat implements fs.StatFS.
func (s *swapping) Stat(name string) (fs.FileInfo, error) { return fs.Stat(s.FS, name) }

// TestSubstituteIsReadOnce: the manifest of a substitute that was held against its digest
// is the one that counts, also if the file is another by then.
func TestSubstituteIsReadOnce(t *testing.T) {
	dir := withSubstitute(t, copyToy(t))
	other := strings.Replace(string(copyToy(t)[ManifestFile].Data), `name = "toy"`, `name = "planted"`, 1)
	fsys := &swapping{FS: os.DirFS(dir), name: substituteManifest, other: []byte(other)}
	b, err := Load(fsys, Options{NoPayload: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Manifest.Name != "toy" {
		t.Errorf("%s is served", b.Name())
	}
}
