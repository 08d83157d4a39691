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

// Open loads a bundle by name: an embedded one or a directory. A name without a
// slash is looked up among the embedded ones first.
func Open(name string, o Options) (*Bundle, error) {
	fsys, err := find(name)
	if err != nil {
		return nil, err
	}
	b, err := Load(fsys, o)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", name, err)
	}
	return b, nil
}

func find(name string) (fs.FS, error) {
	if !strings.ContainsRune(name, '/') {
		if fsys, err := models.Open(name); err == nil {
			return fsys, nil
		}
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no bundle %q: name one of %s, or a directory with a %s", name, strings.Join(models.Names(), ", "), ManifestFile)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("bundle %s is not a directory", name)
	}
	return folder{os.DirFS(name), name}, nil
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
