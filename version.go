// Package serveflow holds the version that the program, the plugins of Zeek and
// Suricata and the packages share.
package serveflow

import (
	_ "embed"
	"runtime/debug"
	"strings"
)

//go:embed VERSION
var number string

// Version returns the content of the file VERSION, as in "0.1.0". Where the build
// recorded the commit, its first seven digits follow, as in "0.1.0+6ac2da2", and
// ".modified" if files differed from it.
func Version() string {
	version := strings.TrimSpace(number)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; len(revision) >= 7 {
		version += "+" + revision[:7]
		if settings["vcs.modified"] == "true" {
			version += ".modified"
		}
	}
	return version
}
