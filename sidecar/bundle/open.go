package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"serveflow/models"
)

// Open loads a bundle by name: an embedded one, a directory, an archive that Pack has
// made, or the URL of one with its digest. A name without a slash is looked up among the embedded ones first. Those
// are trusted as the program is.
func Open(name string, o Options) (*Bundle, error) {
	fsys, shipped, err := find(name)
	if err != nil {
		return nil, err
	}
	if shipped {
		o.TrustedKeys = nil
	}
	b, err := Load(fsys, o)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	return b, nil
}

// Find returns the files of a bundle by the name that Open takes.
func Find(name string) (fs.FS, error) {
	fsys, _, err := find(name)
	return fsys, err
}

// ReadManifest returns the manifest of a bundle by the name that Open takes, and its
// text. The files are not looked at.
func ReadManifest(name string) (*Manifest, []byte, error) {
	fsys, err := Find(name)
	if err != nil {
		return nil, nil, err
	}
	text, err := read(fsys, ManifestFile, maxManifest)
	if err != nil {
		return nil, nil, fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, nil, fmt.Errorf("bundle %s: %s: %w", shown(name), ManifestFile, err)
	}
	return m, text, nil
}

// find also returns whether the bundle comes with the program.
func find(name string) (fsys fs.FS, shipped bool, err error) {
	if !strings.ContainsRune(name, '/') {
		if fsys, err := models.Open(name); err == nil {
			return fsys, true, nil
		}
	}
	if isURL(name) {
		path, err := fetch(name)
		if err != nil {
			return nil, false, fmt.Errorf("bundle %s: %w", shown(name), err)
		}
		name = path
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("no bundle %q: name one of %s, or a directory with a %s", name, strings.Join(models.Names(), ", "), ManifestFile)
	case err != nil:
		return nil, false, err
	case info.IsDir():
		return folder{os.DirFS(name), name}, false, nil
	}
	if fsys, err = openArchive(name); err != nil {
		return nil, false, fmt.Errorf("bundle %s: %w", shown(name), err)
	}
	return fsys, false, nil
}

// folder is a directory in which opening a file never blocks, as opening a FIFO
// would.
type folder struct {
	fs.FS
	path string
}

// Open implements fs.FS.
func (f folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return os.OpenFile(filepath.Join(f.path, name), os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// Stat implements fs.StatFS; it opens nothing.
func (f folder) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.FS, name) }
