package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fetchTime is how long an archive may take to come.
const fetchTime = 2 * time.Minute

// isURL says whether a bundle is named by a URL: that of an archive, with the SHA-256 of
// its bytes as the fragment, https://store.example/mine.zip#sha256=….
func isURL(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}

// shown is a bundle's name for messages: a URL without its password.
func shown(name string) string {
	if !isURL(name) {
		return name
	}
	u, err := url.Parse(name)
	if err != nil {
		return "at a URL"
	}
	return u.Redacted()
}

// fetch returns the path of the archive that a URL names. One that was fetched before is
// not fetched again: its digest says that it is the same.
func fetch(name string) (path string, err error) {
	u, err := url.Parse(name)
	if err != nil {
		return "", errNoURL // err has what may be a password
	}
	digest, ok := strings.CutPrefix(u.Fragment, "sha256=")
	if sum, err := hex.DecodeString(digest); !ok || err != nil || len(sum) != sha256.Size || strings.ToLower(digest) != digest {
		return "", errors.New("a URL ends in #sha256= and the 64 lower-case hexadecimal digits that sha256sum says of the archive: which bytes are served is the configuration's to say")
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, digest+".zip")
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		if sum, _, err := digestOf(f, io.Discard); err == nil && sum == digest {
			return path, nil
		}
	}
	u.Fragment = ""
	return path, download(u, digest, path)
}

// cacheDir is where archives are kept: for a service the directory that systemd gives it,
// so that it starts although the store is away.
func cacheDir() (string, error) {
	dir := os.Getenv("STATE_DIRECTORY")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "serveflow")
	}
	dir = filepath.Join(dir, "bundles")
	return dir, os.MkdirAll(dir, 0o750)
}

func download(u *url.URL, digest, path string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the store answers %s", response.Status)
	}
	removeUnfinished(filepath.Dir(path))
	f, err := os.CreateTemp(filepath.Dir(path), unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	sum, n, err := digestOf(io.LimitReader(response.Body, maxTotal+1), f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	switch {
	case n > maxTotal:
		return fmt.Errorf("the archive is larger than %d MiB", maxTotal>>20)
	case sum != digest:
		return fmt.Errorf("the archive's digest is sha256=%s: it is another than the configuration names, or was cut after %d bytes", sum, n)
	}
	return os.Rename(f.Name(), path)
}

var errNoURL = errors.New("it cannot be read: in a user's name or password, characters other than letters and digits are written as %XX")

// unfinished are the names of archives that are being fetched.
const unfinished = "fetching-*"

// removeUnfinished removes what processes have left that ended while they fetched.
func removeUnfinished(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, unfinished))
	for _, file := range files {
		if info, err := os.Lstat(file); err == nil && time.Since(info.ModTime()) > fetchTime {
			os.Remove(file)
		}
	}
}

// digestOf copies what is read and returns its SHA-256 and length.
func digestOf(from io.Reader, to io.Writer) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), from)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
