// Package wholefile writes files that are there whole or not at all.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// count tells apart files that are being written to one path.
var count atomic.Int64

// Write has write fill a file beside path, which then takes the place of what has that name;
// of a symbolic link to a file, of that. After an error, what was there is still there. What
// belongs to others, such as a FIFO or /dev/stdout, is written to as it is.
func Write(path string, write func(*os.File) error) (err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular(), strings.HasPrefix(path, "/dev/"), strings.HasPrefix(path, "/proc/"):
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir, name := filepath.Split(path)
	part := filepath.Join(dir, fmt.Sprintf(".%s.%d.%d.part", name, os.Getpid(), count.Add(1)))
	f, err := os.Create(part) // not os.CreateTemp, whose files nobody else may read
	if err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: errors.Unwrap(err)}
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(part)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}
