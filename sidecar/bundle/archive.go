package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxArchive is how large an archive may be: it is compressed, or not.
const maxArchive = maxTotal + maxManifest

// Pack writes the bundle in fsys as one zip archive: the manifest, its signature if there
// is one, and the files that it lists, which are checked. The same bundle gives the same
// bytes. Open takes the archive in place of a directory.
func Pack(w io.Writer, fsys fs.FS) error {
	text, err := read(fsys, ManifestFile, maxManifest)
	if err != nil {
		return err
	}
	m, err := parseManifest(text)
	if err != nil {
		return fmt.Errorf("%s: %w", ManifestFile, err)
	}
	files, err := ReadFiles(fsys, m.Files, maxTotal)
	if err != nil {
		return err
	}
	out := zip.NewWriter(w)
	if err := add(out, ManifestFile, text); err != nil {
		return err
	}
	signature, err := read(fsys, SignatureFile, maxSignature)
	if err == nil {
		err = add(out, SignatureFile, signature)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := add(out, name, files[name]); err != nil {
			return err
		}
	}
	return out.Close()
}

// packed is the date of all files of an archive, the first that zip can write.
var packed = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

func add(out *zip.Writer, name string, data []byte) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: packed}
	header.SetMode(0o644)
	w, err := out.CreateHeader(header)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// openArchive returns the files of an archive, which is read whole.
func openArchive(path string) (fs.FS, error) {
	data, err := read(folder{os.DirFS(filepath.Dir(path)), filepath.Dir(path)}, filepath.Base(path), maxArchive)
	if err != nil {
		return nil, err
	}
	in := &directoryReader{Reader: bytes.NewReader(data), left: maxDirectory}
	archive, err := zip.NewReader(in, int64(len(data)))
	if errors.Is(err, errDirectory) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("neither a directory nor an archive of \"serveflow bundle pack\": %w", err)
	}
	in.left = math.MaxInt64
	seen := map[string]bool{}
	for _, f := range archive.File {
		if !fs.ValidPath(f.Name) {
			return nil, fmt.Errorf("the archive holds %q, which is no path inside it", clip(f.Name))
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("the archive holds %q twice", clip(f.Name))
		}
		seen[f.Name] = true
	}
	return archive, nil
}

// maxDirectory is how many bytes of an archive's directory are read: thousands of files.
const maxDirectory = 1 << 20

var errDirectory = fmt.Errorf("the archive's directory is larger than %d MiB: it is not one of \"serveflow bundle pack\"", maxDirectory>>20)

// directoryReader bounds what is read of an archive. Package zip takes memory for all
// files that the directory names, however many they are.
type directoryReader struct {
	*bytes.Reader
	left int64
}

// ReadAt implements io.ReaderAt.
func (d *directoryReader) ReadAt(b []byte, at int64) (int, error) {
	if d.left -= int64(len(b)); d.left < 0 {
		return 0, errDirectory
	}
	return d.Reader.ReadAt(b, at)
}
