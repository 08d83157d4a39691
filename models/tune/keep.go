package tune

import (
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"serveflow/models/dataset"
	"serveflow/sidecar/operate/wholefile"
)

// said is the version of what is kept; another one where flows are scored otherwise.
const said = 3

// kept returns what the candidates said of a capture in an earlier run, or what
// ask returns, which is kept for the next. Candidates, the capture, its labels and how
// it is read make the name of the file, so what has changed is asked again.
func (t *tuner) kept(events string, c dataset.Capture, ask func() (*answered, error)) (*answered, error) {
	name, err := t.key(events, c)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(t.options.Work, name)
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		a := new(answered)
		if gob.NewDecoder(f).Decode(a) == nil && a.whole(len(t.candidates.of(events))) {
			return a, nil
		}
	}
	a, err := ask()
	if err != nil {
		return nil, err
	}
	return a, keep(path, a)
}

// whole says whether every candidate spoke of every flow.
func (a *answered) whole(candidates int) bool {
	if len(a.By) != candidates || len(a.Labels) != len(a.Waits) {
		return false
	}
	for _, by := range a.By {
		if n := len(a.Waits); len(by.Class) != n || len(by.Score) != n {
			return false
		}
	}
	return true
}

func (t *tuner) key(events string, c dataset.Capture) (string, error) {
	f, err := os.Open(c.Path)
	if err != nil {
		return "", fmt.Errorf("capture %s: %w", c.File, err)
	}
	defer f.Close()
	h := sha256.New()
	fmt.Fprintln(h, said, t.candidates.digest, events, t.fold(c), t.options.Replay, c.Label)
	if c.Flows != nil {
		fmt.Fprintln(h, c.Flows.Digest())
	}
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("capture %s: %w", c.File, err)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]) + ".gob", nil
}

// keep writes a file that is there whole or not at all.
func keep(path string, a *answered) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return wholefile.Write(path, func(f *os.File) error { return gob.NewEncoder(f).Encode(a) })
}
