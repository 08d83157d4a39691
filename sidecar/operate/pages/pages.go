// Package pages names pages of the documentation as the reader of a message finds them.
package pages

import (
	"os"
	"path/filepath"
	"strings"
)

// installed is where packages put the documentation.
const installed = "/usr/share/doc/serveflow"

// At returns where a page of the repository is, as "docs/install.md#the-tap": below
// /usr/share/doc/serveflow if a package has put it there, else as it is in the repository.
func At(page string) string { return in(installed, page) }

func in(directory, page string) string {
	file, _, _ := strings.Cut(page, "#")
	if _, err := os.Stat(filepath.Join(directory, file)); err != nil {
		return page
	}
	return filepath.Join(directory, page)
}
