package credentials

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is no file of a sensible size is refused at once.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	fifo, large, text := filepath.Join(dir, "fifo"), filepath.Join(dir, "large"), filepath.Join(dir, "text")
	err := errors.Join(unix.Mkfifo(fifo, 0o600), os.WriteFile(large, nil, 0o600), os.Truncate(large, maxFile+1), os.WriteFile(text, []byte("x"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		fifo: "is no file of at most", large: "is no file of at most", "/dev/zero": "is no file of at most", dir: "is no file of at most",
		filepath.Join(dir, "none"): "no such file", text: "in PEM",
	} {
		for name, read := range map[string]func() error{
			"authorities": func() error { _, err := Client(path); return err },
			"certificate": func() error { _, err := Pair(path, path); return err },
		} {
			done := make(chan error, 1)
			go func() { done <- read() }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), says) && !strings.Contains(err.Error(), "PEM") {
					t.Errorf("%s as %s: %v", path, name, err)
				}
			case <-time.After(5 * time.Second):
				t.Errorf("%s as %s: it is waited for", path, name)
			}
		}
	}
	if got, err := Read(text, 1); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
