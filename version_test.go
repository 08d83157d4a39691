package serveflow_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"serveflow"
)

// TestVersion holds the version to the changelog: releases are numbered once.
func TestVersion(t *testing.T) {
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## ([0-9]+\.[0-9]+\.[0-9]+) \(`).FindSubmatch(changelog)
	if newest == nil {
		t.Fatal("CHANGELOG.md has no version")
	}
	if got, _, _ := strings.Cut(serveflow.Version(), "+"); got != string(newest[1]) {
		t.Errorf("VERSION is %q, the newest version of CHANGELOG.md is %q", got, newest[1])
	}
}
