package bundle

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFetch(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	var archive bytes.Buffer
	fsys, err := Find("../../test/bundle/toy")
	if err != nil {
		t.Fatal(err)
	}
	if err := Pack(&archive, fsys); err != nil {
		t.Fatal(err)
	}
	good, asked := archive.Bytes(), 0
	body := good
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/toy.zip" {
			http.NotFound(w, r)
			return
		}
		w.Write(body)
	}))
	defer store.Close()
	pinned := store.URL + "/toy.zip#" + strings.Replace(Digest(good), ":", "=", 1)

	// What is not the archive that is pinned is refused, and nothing of it is kept.
	for name, c := range map[string]struct {
		url  string
		body []byte
		says string
	}{
		"changed":   {pinned, append(bytes.Clone(good), 0), "the archive's digest is"},
		"cut":       {pinned, good[:len(good)/2], "the archive's digest is"},
		"empty":     {pinned, nil, "the archive's digest is"},
		"missing":   {strings.Replace(pinned, "toy.zip", "none.zip", 1), good, "the store answers 404"},
		"no digest": {store.URL + "/toy.zip", good, "#sha256="},
		"short":     {store.URL + "/toy.zip#sha256=abcd", good, "#sha256="},
		"password":  {strings.Replace(pinned, "http://", "http://me:secret@", 1) + "0", good, "http://me:xxxxx@"},
		"no URL":    {strings.Replace(pinned, "http://", "http://me:sec/ret@", 1), good, "bundle at a URL: it cannot be read"},
		"nobody":    {"http://127.0.0.1:1/" + pinned[strings.Index(pinned, "toy.zip"):], good, "refused"},
	} {
		body = c.body
		if _, err := Open(c.url, Options{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "sec") && !strings.Contains(err.Error(), "xxxxx") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(state, "bundles", "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}

	// What a process has left that was killed meanwhile goes with the next fetch.
	for name, age := range map[string]time.Duration{"fetching-1": time.Second, "fetching-2": time.Hour} {
		path := filepath.Join(state, "bundles", name)
		then := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, good[:10], 0o600), os.Chtimes(path, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	body = nil
	if _, err := Open(pinned, Options{}); err == nil {
		t.Error("nothing was fetched, and it is opened")
	}
	if left, _ := filepath.Glob(filepath.Join(state, "bundles", "*")); len(left) != 1 || filepath.Base(left[0]) != "fetching-1" {
		t.Errorf("left: %q", left)
	} else {
		os.Remove(left[0])
	}

	// It is fetched once; a copy that was harmed is fetched again.
	body, asked = good, 0
	for range 2 {
		b, err := Open(pinned, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Name() != "toy@1.0.0" {
			t.Errorf("%s", b.Name())
		}
		b.Close()
	}
	if asked != 1 {
		t.Errorf("fetched %d times", asked)
	}
	kept, _ := filepath.Glob(filepath.Join(state, "bundles", "*"))
	if len(kept) != 1 {
		t.Fatalf("kept: %q", kept)
	}
	if err := os.WriteFile(kept[0], good[:100], 0o640); err != nil {
		t.Fatal(err)
	}
	if b, err := Open(pinned, Options{}); err != nil || asked != 2 {
		t.Errorf("%v, fetched %d times", err, asked)
	} else {
		b.Close()
	}
	// A bundle from a store is not one that comes with the program.
	if _, err := Open(pinned, Options{TrustedKeys: []string{"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}}); err == nil {
		t.Error("an archive without a signature is served though keys are trusted")
	}
}
