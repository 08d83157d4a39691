// Package models embeds the bundles of the program. Each is a directory with a
// manifest, models and a datasheet.
package models

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed iot-device channel
var bundles embed.FS

// Names are the names of the bundles.
func Names() []string {
	entries, err := bundles.ReadDir(".")
	if err != nil {
		panic(err) // what is embedded can be read
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// Open returns the directory of the bundle with that name.
func Open(name string) (fs.FS, error) {
	if _, err := fs.Stat(bundles, name); err != nil {
		return nil, fmt.Errorf("no bundle %q", name)
	}
	return fs.Sub(bundles, name)
}
